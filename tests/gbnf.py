# SPDX-License-Identifier: MIT
"""GBNF, the engine's grammars: parse one, draw texts from it, tell whether it takes a text."""
import random
import re
import sys

sys.setrecursionlimit(20000)
TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(\[(?:[^\]\\]|\\.)*\])|([A-Za-z0-9-]+)|(\{\d+(?:,\d*)?\}|[*+?|()]))')
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.S)
NAMED = {"n": "\n", "r": "\r", "t": "\t"}


def unescape(text):
    def one(m):
        e = m.group(1)
        return chr(int(e[1:], 16)) if e[0] in "xuU" and len(e) > 1 else NAMED.get(e, e)
    return ESCAPE.sub(one, text)


def char_class(text):
    text = text[1:-1]
    inverted = text.startswith("^")
    chars = [unescape(m.group()) for m in re.finditer(r"\\(?:x..|u.{4}|U.{8}|.)|.", text[inverted:], re.S)]
    raw = [m.group() for m in re.finditer(r"\\(?:x..|u.{4}|U.{8}|.)|.", text[inverted:], re.S)]
    ranges, i = [], 0
    while i < len(chars):
        if i + 2 < len(chars) and raw[i + 1] == "-":
            ranges.append((ord(chars[i]), ord(chars[i + 2])))
            i += 3
        else:
            ranges.append((ord(chars[i]), ord(chars[i])))
            i += 1
    return ("class", inverted, ranges)


class Grammar:
    def __init__(self, text):
        self.rules = {}
        for line in text.strip().split("\n"):
            name, body = line.split(" ::= ", 1)
            assert name not in self.rules, name
            tokens, at = [], 0
            body = body.rstrip()
            while at < len(body):
                m = TOKEN.match(body, at)
                assert m, (name, body[at:at + 40])
                tokens.append(m)
                at = m.end()
            node, rest = self.choice(tokens, 0)
            assert rest == len(tokens), (name, body)
            self.rules[name] = node
        for node in list(self.rules.values()):
            self.check(node)
        self.least = {}
        self.find_least()

    def choice(self, t, i):
        all_, seq = [], []
        while i < len(t):
            lit, cls, ref, sign = t[i].groups()
            i += 1
            if sign == "|":
                all_.append(("seq", seq))
                seq = []
                continue
            if sign == ")":
                i -= 1
                break
            if lit is not None:
                node = ("text", unescape(lit[1:-1]))
            elif cls:
                node = char_class(cls)
            elif ref:
                node = ("ref", ref)
            elif sign == "(":
                node, i = self.choice(t, i)
                assert t[i].group(4) == ")"
                i += 1
            else:
                raise AssertionError(sign)
            while i < len(t) and t[i].group(4) and t[i].group(4)[0] in "*+?{":
                sign = t[i].group(4)
                low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign, (None, None))
                if sign[0] == "{":
                    a, _, b = sign[1:-1].partition(",")
                    low, high = int(a), int(b) if b else (None if "," in sign else int(a))
                node = ("repeat", node, low, high)
                i += 1
            seq.append(node)
        all_.append(("seq", seq))
        return (all_[0] if len(all_) == 1 else ("any", all_)), i

    def check(self, node):
        if node[0] == "ref":
            assert node[1] in self.rules, node[1]
        elif node[0] in ("seq", "any"):
            for x in node[1]:
                self.check(x)
        elif node[0] == "repeat":
            self.check(node[1])

    def depth(self, node):
        if node[0] == "ref":
            return self.least.get(node[1], 10 ** 9) + 1
        if node[0] == "seq":
            return max((self.depth(x) for x in node[1]), default=0)
        if node[0] == "any":
            return min(self.depth(x) for x in node[1])
        if node[0] == "repeat":
            return self.depth(node[1]) if node[2] else 0
        return 0

    def find_least(self):
        changed = True
        while changed:
            changed = False
            for name, node in self.rules.items():
                d = self.depth(node)
                if d < self.least.get(name, 10 ** 9):
                    self.least[name] = d
                    changed = True

    def draw(self, rng, node=("ref", "root"), deep=0):
        kind = node[0]
        if kind == "text":
            return node[1]
        if kind == "class":
            return self.draw_char(rng, node)
        if kind == "ref":
            return self.draw(rng, self.rules[node[1]], deep + 1)
        if kind == "seq":
            return "".join(self.draw(rng, x, deep) for x in node[1])
        if kind == "any":
            some = node[1] if deep < 30 else [min(node[1], key=self.depth)]
            return self.draw(rng, rng.choice(some), deep)
        low, high = node[2], node[3]
        more = 0 if deep >= 30 else rng.choice((0, 0, 1, 2, 5))
        if high is not None:
            more = high - low if rng.random() < 0.1 and deep < 10 else min(more, high - low)
        return "".join(self.draw(rng, node[1], deep) for _ in range(low + more))

    def draw_char(self, rng, node):
        while True:
            if node[1]:
                c = rng.choice((rng.randrange(32, 127), rng.randrange(0xa0, 0x250), rng.randrange(0x1f300, 0x1f600), rng.randrange(0, 0x80)))
                if not any(a <= c <= b for a, b in node[2]):
                    return chr(c)
            else:
                a, b = rng.choice(node[2])
                c = rng.choice((a, b, rng.randint(a, b)))
                if not 0xd800 <= c <= 0xdfff:
                    return chr(c)

    def takes(self, text):
        self.memo = {}
        return len(text) in self.ends(text, ("ref", "root"), 0)

    def ends(self, text, node, at):
        kind = node[0]
        if kind == "text":
            return {at + len(node[1])} if text.startswith(node[1], at) else set()
        if kind == "class":
            if at == len(text):
                return set()
            inside = any(a <= ord(text[at]) <= b for a, b in node[2])
            return {at + 1} if inside != node[1] else set()
        if kind == "ref":
            key = (node[1], at)
            if key not in self.memo:
                self.memo[key] = self.ends(text, self.rules[node[1]], at)
            return self.memo[key]
        if kind == "seq":
            here = {at}
            for x in node[1]:
                here = set().union(*(self.ends(text, x, p) for p in here)) if here else here
            return here
        if kind == "any":
            return set().union(*(self.ends(text, x, at) for x in node[1]))
        found, here, n = set(), {at}, 0
        while here:
            if n >= node[2]:
                found |= here
            if n == node[3]:
                break
            new = set().union(*(self.ends(text, node[1], p) for p in here))
            if n >= node[2]:
                new -= found
            here, n = new, n + 1
        return found


if __name__ == "__main__":
    g = Grammar(sys.stdin.read())
    print(g.draw(random.Random()))
