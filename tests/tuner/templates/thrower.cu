// thrower.cu - never rendered.
