"""How many instructions a row takes on its way through walstream (path.c).

instructions.py PROGRAM [--update] [--top N]

They are counted by callgrind, in the program itself, what is linked into it,
and libnghttp2: libc's memcpy is another one on another CPU, and is only told
of. What the narrow row takes is held against instructions.json, and may be
LIMIT more. That counts for one compiler; another is told of, and compared with
nothing. Then rows, columns and bytes are made more, and the instructions have
to grow as these do, in a line.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile

from place import HERE

KEPT = HERE / "instructions.json"
LIMIT = 1.05
# How far from the line a point of it may be.
BEND = 0.05
ROWS = 20000
MEASURED = "server_turn"

# What grows: (its name, [(how much of it, the program's words)]).
SERIES = [
    ("rows", [(n, (n,)) for n in (5000, 10000, 20000)]),
    ("columns", [(n, (1000, n, 10)) for n in (10, 20, 40, 80, 160)]),
    ("bytes", [(n, (1000, 10, n)) for n in (32, 128, 256, 512, 1024)]),
]


def counted(words):
    """The instructions of one run, by object, and by function."""
    with tempfile.NamedTemporaryFile(prefix="walstream-callgrind-") as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--compress-strings=no",
             "--compress-pos=no", f"--toggle-collect={MEASURED}",
             f"--callgrind-out-file={out.name}", *map(str, words)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
        if done.returncode:
            sys.exit(f"{words} failed:\n{done.stderr}")
        return costs(out.read().decode(errors="replace"))


def costs(profile):
    """Callgrind's file, read: what calls cost is left to what was called."""
    objects, functions = collections.Counter(), collections.Counter()
    where = function = None
    called = False
    for line in profile.splitlines():
        key, _, value = line.partition("=")
        if key == "ob":
            where = os.path.basename(value)
        elif key == "fn":
            function = value
        elif key == "calls":
            called = True
        elif called:
            called = False
        elif line[:1].isdigit():
            cost = int(line.split()[1])
            objects[where] += cost
            functions[function] += cost
    return objects, functions


def ours(objects, program):
    return sum(cost for name, cost in objects.items()
               if name == os.path.basename(program)
               or name.startswith("libnghttp2"))


def compiler():
    """Such as "12.2.0 x86_64-linux-gnu"."""
    return " ".join(subprocess.run(
        [os.environ.get("CC", "cc"), f"-dump{what}"], capture_output=True,
        text=True, check=True).stdout.strip()
        for what in ("fullversion", "machine"))


def line(points):
    """The least squares: a, b of y = a + b x, each point weighing by 1/y."""
    w = [1 / y ** 2 for _, y in points]
    x = [x for x, _ in points]
    y = [y for _, y in points]
    mean_x = sum(a * b for a, b in zip(w, x)) / sum(w)
    mean_y = sum(a * b for a, b in zip(w, y)) / sum(w)
    slope = (sum(c * (a - mean_x) * (b - mean_y) for a, b, c in zip(x, y, w))
             / sum(c * (a - mean_x) ** 2 for a, c in zip(x, w)))
    return mean_y - slope * mean_x, slope


def grows(program):
    """Prints the series; returns what is wrong with them."""
    wrong = []
    for name, steps in SERIES:
        points = []
        for much, words in steps:
            total = ours(counted([program, *words])[0], program)
            per = 1 if name == "rows" else words[0]
            points.append((much, total / per))
        a, b = line(points)
        print(f"{name}: {a:,.0f} + {b:,.1f} for each")
        for x, y in points:
            off = y / (a + b * x) - 1
            print(f"  {x:6} {y:16,.0f} {off:+7.1%}")
            if abs(off) > BEND:
                wrong.append(f"{name}: {x} is {off:+.1%} off the line")
    return wrong


def holds(per_row):
    """Against what is kept; returns what is wrong."""
    if not KEPT.exists():
        return [f"{KEPT.name} is not there: --update writes it"]
    kept = json.loads(KEPT.read_text(encoding="ascii"))
    if kept["compiler"] != compiler():
        print(f"by {compiler()}, kept is {kept['compiler']}: not compared")
        return []
    change = per_row / kept["narrow"] - 1
    print(f"{change:+.1%} against the {kept['narrow']:,} that are kept")
    if per_row > kept["narrow"] * LIMIT:
        return [f"a narrow row takes {per_row:,.0f} instructions,"
                f" {change:+.1%}: if that is meant, --update"]
    return []


def main():
    words = argparse.ArgumentParser()
    words.add_argument("program")
    words.add_argument("--update", action="store_true")
    words.add_argument("--top", type=int, default=12)
    args = words.parse_args()
    objects, functions = counted([args.program, ROWS])
    per_row = round(ours(objects, args.program) / ROWS)
    print(f"a narrow row: {per_row:,} instructions")
    for name, cost in objects.most_common(4):
        print(f"  {cost / ROWS:8,.0f} {name}")
    print("by function:")
    for name, cost in functions.most_common(args.top):
        print(f"  {cost / ROWS:8,.0f} {name}")
    if args.update:
        KEPT.write_text(json.dumps(
            {"compiler": compiler(), "narrow": per_row}, indent=1) + "\n",
            encoding="ascii")
    wrong = holds(per_row) + grows(args.program)
    for one in wrong:
        print(one, file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
