"""A manual page as a tree, which mandoc makes of it (mandoc -T tree)."""

import pathlib
import re
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MAN = REPOSITORY / "man"

LINE = re.compile(
    r"^( *)(.*) \((block|head|body|tail|elem|text)\)(?: .*?)?"
    r" ([(*]*)(\d+):\d+(\))?\.?(?:$| )")
ESCAPES = {r"\(dq": '"', r"\(aq": "'", r"\e": "\\", r"\-": "-", r"\&": ""}
# What a macro puts around its text.
AROUND = {"Pq": ("(", ")"), "Sq": ("'", "'"), "Dq": ('"', '"'),
          "Op": ("[", "]")}


class Node:
    def __init__(self, name, kind, line=0, close=False, opens=False):
        self.name, self.kind, self.line = name, kind, line
        self.close, self.opens = close, opens
        self.children = []

    def walk(self):
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, macro):
        """Every use of a macro."""
        return [node for node in self.walk() if node.name == macro
                and node.kind in ("block", "elem")]

    def words(self, macro):
        """The text of every use of a macro."""
        return [text(node) for node in self.all(macro)]

    def part(self, kind):
        return next(child for child in self.children if child.kind == kind)


def tokens(node, ar):
    """Pieces of text; "" where no blank may stand."""
    if node.kind == "text":
        word = re.sub(r"\\\(..|\\.", lambda m: ESCAPES[m[0]], node.name)
        yield from ["", word] if node.close else [word]
        if node.opens:
            yield ""
    elif node.name == "Ns":
        yield ""
    elif node.name == "Ar" and ar is not None:
        yield ar
    else:
        left, right = AROUND.get(node.name, ("", "")) \
            if node.kind == "block" else ("", "")
        yield from [left, ""] if left else []
        for child in node.children:
            if node.name == "Fl":
                yield "-"
                yield ""
            yield from tokens(child, ar)
        yield from ["", right] if right else []


def text(node, ar=None):
    """What is printed, on one line; ar stands for each argument (Ar)."""
    out = ""
    glue = True
    for word in tokens(node, ar):
        if word == "":
            glue = True
            continue
        out += word if glue else " " + word
        glue = False
    return out


def parse(path):
    done = subprocess.run(["mandoc", "-T", "tree", path], text=True,
                          capture_output=True, check=True)
    root = Node("", "root")
    stack = [(-1, root)]
    # A hyphen at which a line may be broken is another character.
    for line in done.stdout.replace("\x1e", "-").split("\n"):
        match = LINE.match(line)
        if match is None:
            continue
        node = Node(match[2], match[3], int(match[5]), bool(match[6]),
                    "(" in match[4])
        depth = len(match[1])
        while stack[-1][0] >= depth or stack[-1][1].kind == "text":
            stack.pop()
        stack[-1][1].children.append(node)
        stack.append((depth, node))
    return root


class Page:
    def __init__(self, name):
        self.path = MAN / name
        self.root = parse(self.path)
        self.source = self.path.read_text(encoding="utf-8").splitlines()
        self.sections = self.parts(self.root, "Sh")

    @staticmethod
    def parts(node, macro):
        return {text(part.part("head")): part.part("body")
                for part in node.all(macro)}

    def subsections(self, title):
        return self.parts(self.sections[title], "Ss")

    def displays(self, node):
        """The lines of each literal display, as they are in the source."""
        for display in node.all("Bd"):
            lines = [part.line for part in display.walk()
                     if part.kind == "text"]
            yield [re.sub(r"\\\(..|\\.", lambda m: ESCAPES[m[0]], line)
                   for line in self.source[min(lines) - 1:max(lines)]]


def items(node):
    """(head, body) of every item of the lists in a section."""
    return [(item.part("head"), item.part("body"))
            for item in node.all("It")]
