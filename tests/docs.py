"""Names in the docs are names of the tree: docs.py. Files that are mentioned are there, tables of docs/adding.md are in the files
of their rows, and what make is told to do the Makefile knows. Prints "ok NAME" or "FAIL NAME: why"."""
import pathlib
import re
import shlex

FOLDERS = "base|probe|vram-planner|core|launch|tui|device|bar-forward|kmod|tests|docs"
FILE = re.compile(rf"(?<![\w/.<-])((?:{FOLDERS})/[\w./-]+\.(?:c|h|sh|py|md|json|tsv|tree))\b")
SOURCE = re.compile(r"(?<![\w/*.])((?:[\w-]+/)*[a-z_0-9]+\.[ch])\b")
TABLE = re.compile(r"`(\w+)\[\]`")
docs = sorted([*pathlib.Path().glob("*.md"), *pathlib.Path("docs").glob("*.md"), *pathlib.Path().glob("*/README.md")])
sources = [p for folder in (*FOLDERS.split("|"), "tests/modelgen") for p in pathlib.Path(folder).glob("*.[ch]")]
targets = set(re.findall(r"^([a-z-]+):", pathlib.Path("Makefile").read_text(), re.M))


def report(name, wrong):
    print(f"FAIL {name}: {'; '.join(wrong)}" if wrong else f"ok {name}", flush=True)


def is_placeholder(path):
    stem = pathlib.Path(path).stem
    return stem.isupper() or stem == "x"


def absent(text):
    return [path for path in FILE.findall(text) if not pathlib.Path(path).exists() and not is_placeholder(path)]


def defines(path, table):
    return re.search(rf"\b{table}\[[^\]]*\](?:\([^)]*\)|\)\([^)]*\)|[^=;(]*)\s*=", path.read_text())


def misplaced(row):
    """The tables of a row that none of its files has."""
    named = SOURCE.findall(row)
    files = [p for p in sources if any(p.as_posix() == n or "/" not in n and p.name == n for n in named)]
    return [table for table in TABLE.findall(row) if not any(defines(p, table) for p in files or sources)]


def unknown_targets(text):
    words = [w for command in re.findall(r"`make ([^`]*)`|^    make ([^#\n]*)", text, re.M) for w in shlex.split("".join(command))]
    return [w for w in words if "=" not in w and w not in targets]


for doc in docs:
    text = doc.read_text()
    report(f"{doc}: its files are there", absent(text))
    report(f"{doc}: make knows its targets", unknown_targets(text))
rows = [line for line in pathlib.Path("docs/adding.md").read_text().splitlines() if line.startswith("| a")]
report(f"docs/adding.md: the tables of its {len(rows)} rows", [f"{t} ({row[2:40]})" for row in rows for t in misplaced(row)])
