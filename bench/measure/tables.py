"""Figures of rounds become medians, spreads, ratios, a table in Markdown, and JSON."""

import json
from statistics import median


class Column:
    """A figure of a round. `digits`: how many after the point. `compared`: whether the ratios have it."""

    def __init__(self, key, title, digits=0, compared=False):
        self.key, self.title, self.digits, self.compared = key, title, digits, compared


class Result:
    """The rounds of one bench: for each contestant, in each round, figures by key.

    A ratio is the reference's figure over a contestant's; or, with `growth`, the contestant's over the reference's.
    """

    def __init__(self, name, title, columns, reference, growth=False):
        self.name, self.title, self.columns, self.reference, self.growth = name, title, columns, reference, growth
        self.rounds, self.notes = {}, []

    def add(self, contestant, figures):
        self.rounds.setdefault(contestant, []).append(figures)

    def values(self, contestant, key):
        return [figures[key] for figures in self.rounds[contestant] if figures.get(key) is not None]

    def median(self, contestant, key):
        values = self.values(contestant, key)
        return median(values) if values else None

    def ratios(self, contestant, key):
        """One for each round, since the figures of a round drift together."""
        ratios = []
        for ours, theirs in zip(self.rounds[self.reference], self.rounds[contestant]):
            above, below = (theirs.get(key), ours.get(key)) if self.growth else (ours.get(key), theirs.get(key))
            if above is not None and below:
                ratios.append(above / below)
        return ratios

    def markdown(self):
        lines = table(
            ["", *(column.title for column in self.columns)],
            [
                [contestant, *(spread(self.values(contestant, column.key), column.digits) for column in self.columns)]
                for contestant in self.rounds
            ],
        )
        compared = [column for column in self.columns if column.compared]
        others = [contestant for contestant in self.rounds if contestant != self.reference]
        if compared and others:
            lines += ["", *table(
                [f"against {self.reference}" if self.growth else f"{self.reference} against", *(column.title for column in compared)],
                [
                    [contestant, *(spread(self.ratios(contestant, column.key), 2, " x") for column in compared)]
                    for contestant in others
                ],
            )]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)]) + "\n"

    def write(self, folder, about):
        text = f"{self.title}.\n\n{self.markdown()}\n{about['words']}\n"
        (folder / f"{self.name}.md").write_text(text)
        medians = {c: {column.key: self.median(c, column.key) for column in self.columns} for c in self.rounds}
        ratios = {
            contestant: {column.key: middle(self.ratios(contestant, column.key)) for column in self.columns if column.compared}
            for contestant in self.rounds
            if contestant != self.reference
        }
        content = {"bench": self.name, **about, "reference": self.reference, "medians": medians, "ratios": ratios}
        content.update(notes=self.notes, rounds=self.rounds)
        (folder / f"{self.name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        return text


def middle(values):
    return median(values) if values else None


def spread(values, digits, unit=""):
    """The median, and the smallest and the largest value."""
    if not values:
        return ""
    text = number(median(values), digits) + unit
    if len(values) > 1:
        text += f" ({number(min(values), digits)}–{number(max(values), digits)})"
    return text


def number(value, digits):
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def table(head, rows):
    cells = lambda row: "| " + " | ".join(row) + " |"
    return [cells(head), "|" + "|".join(["---"] + ["--:"] * (len(head) - 1)) + "|", *map(cells, rows)]
