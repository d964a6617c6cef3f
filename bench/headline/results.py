"""The result file: written whole after every case, so that a run that is cut short goes on."""

import json
import os
import re


def device_folder(device_text):
    """A folder name from a device's line: its quoted name."""
    name = re.search(r'"([^"]+)"', device_text)
    return re.sub(r"[^A-Za-z0-9.]+", "-", name.group(1) if name else device_text).strip("-")


class Results:
    """{head, ceilings, missing, tuned, done, crashed, notes, rows} in one file. `done` names
    finished cases; `crashed` is [system, where] of what took the GPU's context down; `notes` tells
    of configurations what their layers leave out."""

    def __init__(self, path, head):
        self.path = path
        self.data = {"head": head, "ceilings": None, "missing": [], "tuned": [], "done": [],
                     "crashed": [], "notes": {}, "rows": []}

    @classmethod
    def open(cls, folder, head, resume):
        """A new file <date>-<commit>.json, or the newest of this commit where one is resumed."""
        folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.glob(f"*-{head['commit']}.json"))
        if resume and earlier:
            results = cls(earlier[-1], head)
            results.data = json.loads(earlier[-1].read_text())
            return results
        return cls(folder / f"{head['date']}-{head['commit']}.json", head)

    def save(self):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.data, indent=1) + "\n")
        os.replace(fresh, self.path)

    def drop_rows(self, config, tokens):
        """Forgets what an earlier run left of a case that it did not finish."""
        self.data["rows"] = [row for row in self.data["rows"]
                             if (row["config"], row["tokens"]) != (config, tokens)]

    def is_done(self, case):
        return case in self.data["done"]

    def add_missing(self, system, reason, where=None):
        entry = {"system": system, "reason": reason, "where": where}
        if entry not in self.data["missing"]:
            self.data["missing"].append(entry)


def load(path):
    return json.loads(path.read_text())
