"""The ctypes mirror of moetune.h against the header itself, as the C compiler lays it out."""

import ast
import ctypes
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import setting
from moetune import library

MIRRORS = {"moe_plan_options": library.PlanOptions, "moe_io": library.Io,
           "moe_tensor_desc": library.TensorDesc}
HEADER = setting.ROOT / "include" / "moetune.h"


def layout_program():
    lines = []
    for name, mirror in MIRRORS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        lines += [f'printf("{name}.{field} %zu\\n", offsetof({name}, {field}));'
                  for field, _ in mirror._fields_]
    body = "\n".join(lines)
    return f'#include "{HEADER}"\n#include <stdio.h>\nint main(void) {{\n{body}\n}}\n'


def layout_in_c():
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "layout.c", Path(folder) / "layout"
        source.write_text(layout_program())
        subprocess.run(["cc", "-std=c11", source, "-o", program], check=True)
        lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return dict(line.split() for line in lines.splitlines())


def layout_in_python():
    layout = {}
    for name, mirror in MIRRORS.items():
        layout[name] = str(ctypes.sizeof(mirror))
        layout.update({f"{name}.{field}": str(getattr(mirror, field).offset)
                       for field, _ in mirror._fields_})
    return layout


class Mirror(unittest.TestCase):
    def test_layout(self):
        self.assertEqual(layout_in_python(), layout_in_c())

    def test_every_function_is_declared(self):
        declared = set(re.findall(r"^MOE_API [^(]*?(moe_\w+)\(", HEADER.read_text(), re.M))
        self.assertGreater(len(declared), 20)
        self.assertEqual(declared, set(library.FUNCTIONS))

    def test_op_takes_the_inputs_of_a_run(self):
        """The custom op, read as text, since it needs torch to run."""
        text = (setting.ROOT / "python" / "moetune" / "torch_op.py").read_text()
        [op] = [node for node in ast.parse(text).body if getattr(node, "name", "") == "moe_layer"]
        taken = {argument.arg for argument in op.args.args} - {"plan"}
        names = [name for name, _ in library.Io._fields_]
        inputs = set(names[:names.index("y")]) - {"size", "routing_given", "vocab"}  # they follow
        self.assertEqual(taken, inputs | {"ids", "weights"})

    def test_enumerations(self):
        size, text = library.lib.moe_dtype_size, library.lib.moe_dtype_text
        self.assertEqual([text(i).decode() for i in range(3)], ["bf16", "f16", "f32"])
        self.assertEqual([size(i) for i in range(3)], [2, 2, 4])
        names = [library.lib.moe_match_text(i).decode() for i in range(len(library.MATCHES))]
        self.assertEqual(tuple(names), library.MATCHES)
        losses = re.findall(r"\bMOE_LOSS_(\w+),", HEADER.read_text())
        self.assertEqual(tuple(name.lower() for name in losses), library.LOSSES)


if __name__ == "__main__":
    unittest.main()
