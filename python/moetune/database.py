"""A tuning database, open for reading."""

from .library import call, create, lib


class Database:
    """Database("tuning.db"); None: $MOETUNE_DB, else the file that `moetune tune` writes."""

    def __init__(self, path=None):
        self.handle = create("moe_db_open", path and str(path).encode())

    def overlay(self, path):
        """Lays another database over this one: where both have a row, the last one wins."""
        call("moe_db_overlay", self.handle, str(path).encode())

    def __del__(self):
        if getattr(self, "handle", None):
            lib.moe_db_close(self.handle)
