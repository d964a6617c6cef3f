-- schema.sql - the tuning database. Text and integers are readable with the sqlite3 shell; only
-- compiled code is a BLOB. Times are nanoseconds. A row is never changed by a reader. The version
-- changes with the tables and with the arguments that compiled kernels take.
PRAGMA user_version = 3;

CREATE TABLE device (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE,     -- the facts' line
    arch TEXT NOT NULL,            -- sm_90a
    name TEXT NOT NULL,
    sms  INTEGER NOT NULL,
    simulated INTEGER NOT NULL     -- 1: every time on it is a model's
);

-- Compiled code. `hash` covers source, options, arch and compiler.
CREATE TABLE image (
    hash   TEXT PRIMARY KEY,
    arch   TEXT NOT NULL,
    launch TEXT NOT NULL,          -- launch.h's text form, with resources
    toolkit TEXT NOT NULL,         -- NVRTC version
    source TEXT NOT NULL,          -- CUDA as compiled
    log    TEXT NOT NULL,          -- the compiler's
    cubin  BLOB,
    ptx    TEXT
);

-- One candidate on one op. Failures are rows too.
CREATE TABLE record (
    id       INTEGER PRIMARY KEY,
    device   INTEGER NOT NULL REFERENCES device (id),
    kind     TEXT NOT NULL,        -- gemm_up
    shape    TEXT NOT NULL,        -- op.h's moe_op_shape
    tokens   INTEGER NOT NULL,
    routing  TEXT NOT NULL,
    cache    TEXT NOT NULL,
    template TEXT NOT NULL,        -- name@hash8
    config   TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    n        INTEGER NOT NULL,
    med      REAL NOT NULL,        -- ns
    mad      REAL NOT NULL,        -- ns
    err      REAL NOT NULL,
    timer    TEXT NOT NULL,
    samples  TEXT NOT NULL DEFAULT '', -- ns, separated by spaces
    is_default INTEGER NOT NULL,
    driver   TEXT NOT NULL,
    toolkit  TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    date     TEXT NOT NULL,
    clock    INTEGER NOT NULL,
    image    TEXT REFERENCES image (hash),
    log      TEXT NOT NULL DEFAULT '', -- of a failure: what the compiler or the device said
    UNIQUE (device, kind, shape, tokens, routing, cache, template, config)
);
CREATE INDEX record_by_shape ON record (kind, shape, outcome);

-- The whole layer at one token count: which record serves each step.
CREATE TABLE choice (
    id       INTEGER PRIMARY KEY,
    device   INTEGER NOT NULL REFERENCES device (id),
    layer    TEXT NOT NULL,        -- layer text
    tokens   INTEGER NOT NULL,
    routing  TEXT NOT NULL,
    cache    TEXT NOT NULL,
    pipeline TEXT NOT NULL,        -- its ops in order: runtime/core/pipeline.def
    outcome  TEXT NOT NULL,
    n        INTEGER NOT NULL,
    med      REAL NOT NULL,
    mad      REAL NOT NULL,
    err      REAL NOT NULL,
    timer    TEXT NOT NULL,
    driver   TEXT NOT NULL,
    toolkit  TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    date     TEXT NOT NULL,
    clock    INTEGER NOT NULL,
    UNIQUE (device, layer, tokens, routing, cache)
);
CREATE TABLE choice_step (
    choice INTEGER NOT NULL REFERENCES choice (id) ON DELETE CASCADE,
    step   INTEGER NOT NULL,       -- 0, 1, ... in launch order
    record INTEGER NOT NULL REFERENCES record (id),
    PRIMARY KEY (choice, step)
) WITHOUT ROWID;
