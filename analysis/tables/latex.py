"""A table in LaTeX: a float where it fits on a page, and what breaks over pages where it doesn't.

TeX alone knows how wide a text is. What must be known beforehand, whether columns fit the line and whether rows fit the
page, is estimated from the widths of Computer Modern's letters, with some to spare.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.tables.tex import tex

if TYPE_CHECKING:
    from analysis.tables.table import Table

LINE, PAGE = 345.0, 550.0
"""Width and height of the text of the class article at 10 pt, in points; the height is the line of a turned page."""
ROWS = 25
"""More rows than these are set so that they break over pages, whatever their height."""
FEW = 10
"""Lines below a table on a turned page."""
FLAT = 2.0
"""Lines of a row, mean over rows, up to which a page is not turned."""
SMALLEST = 6.0
"""Letters of a float that are smaller than this, in points, are told of in the file's head."""
_SIZES = (("footnotesize", 8.0, 1.0625, 9.5), ("scriptsize", 7.0, 1.14, 8.0))
"""Command, size in points, how much wider the letters are than those at 10 pt, distance of lines in points."""
_GAP = 3.0
"""\\tabcolsep, in points: half of what lies between columns."""
_PARAGRAPH = 85.4
"""3 cm in points: columns of long texts in a float."""
_SPARE = 1.05
"""Estimated widths are taken so much wider."""

# Of cmr10, in its em (Knuth, Computer Modern Typefaces); signs of mathematics with the space beside them.
_EMS = {
    **dict.fromkeys("il.,:;!'|", 0.28),
    **dict.fromkeys("fjrst()[]-` ", 0.4),
    **dict.fromkeys("aceozgbdhknpquvxy0123456789/*_–", 0.53),
    **dict.fromkeys('mwABCDEFGHKLNOPQRTUVXYZ&$?"“”', 0.78),
    **dict.fromkeys("MW%#", 1.03),
}
_OTHER = 0.83

_BREAK = "\\allowbreak{}"


def latex(table: "Table") -> str:
    """A ``table`` environment in booktabs' style, or a ``longtable`` with its head on every page; footers below.

    The comment in its head says which packages it needs, and what else.
    """
    return _long(table, _way(table)) if is_long(table) else _short(table)


def is_long(table: "Table") -> bool:
    """Whether a table has more rows than `ROWS`, or would be higher than a page as a float."""
    if len(table.rows) > ROWS:
        return True
    _, size, wider, distance = _SIZES[0]
    scale = min(1.0, LINE / _float_width(table))
    paragraphs = [_is_paragraph(table, place) for place in range(len(table.columns))]
    lines = 0
    for row in table.rows:
        broken = [
            _width(str(cell), size * wider) / _PARAGRAPH for cell, yes in zip(row, paragraphs, strict=True) if yes
        ]
        lines += max([1, *(int(each * 1.15) + 1 for each in broken)])
    below = sum(map(_footer_lines, table.footers))
    return scale * distance * (lines + 2) + 1.3 * distance * below + 30.0 > PAGE


def _footer_lines(footer: str) -> int:
    _, size, wider, _ = _SIZES[0]
    return int(_width(footer, size * wider) / LINE * 1.05) + 1


def _short(table: "Table") -> str:
    needed = _float_width(table)
    letters = 8.0 * min(1.0, LINE / needed)
    small = (
        f"% its letters are {letters:.1f} pt high on a line of {LINE:.0f} pt: give it one of"
        f" {needed * SMALLEST / 8.0:.0f} pt (geometry, or landscape of pdflscape) for {SMALLEST:.0f} pt"
    )
    lines = [
        "% needs \\usepackage{array,booktabs,graphicx}",
        *([small] if letters < SMALLEST else []),
        "\\begin{table}",
        "\\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}",
        f"\\caption{{{tex(table.title)}}}",
        f"\\label{{tab:{table.name}}}",
        # as wide as the line at most
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
        f"\\begin{{tabular}}{{{_float_columns(table)}}}",
        "\\toprule",
        " & ".join(tex(column.title) for column in table.columns) + " \\\\",
        "\\midrule",
        *(" & ".join(tex(str(cell)) for cell in row) + " \\\\" for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}}",
        *(f"\\par\\smallskip\\raggedright {tex(footer)}" for footer in table.footers),
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _long(table: "Table", way: "_Way") -> str:
    count = len(table.columns)
    head = " & ".join(_broken(column.title) for column in table.columns) + " \\\\"
    columns = "".join(
        f">{{\\{'raggedleft' if right else 'raggedright'}\\arraybackslash}}p{{{width:.1f}pt}}"
        for width, right in zip(way.widths, table.right(), strict=True)
    )
    packages = "array,booktabs,longtable,pdflscape" if way.turned else "array,booktabs,longtable"
    line = sum(way.widths) + 2 * _GAP * (count - 1)
    wide = (
        f"% more than the {PAGE if way.turned else LINE:.0f} pt of article at 10 pt: \\usepackage[a3paper]{{geometry}}"
    )
    notes = [f"\\par\\smallskip\\noindent\\raggedright {tex(footer)}" for footer in table.footers]
    # Many lines are easier to read on upright pages; few would stand alone there.
    apart = way.turned and sum(_footer_lines(footer) for footer in table.footers) > 2 * FEW
    below = ["\\par\\endgroup", *(["\\end{landscape}"] if way.turned else [])]
    lines = [
        f"% needs \\usepackage{{{packages}}}, one column of text and {'pages' if way.turned else 'a line'} of at least"
        f" {line:.0f} pt{' in height' if way.turned else ''}",
        *([] if way.fits else [wide]),
        *(["\\begin{landscape}"] if way.turned else []),
        f"\\begingroup\\{way.command}\\setlength{{\\tabcolsep}}{{{_GAP:.0f}pt}}\\setlength{{\\LTcapwidth}}{{\\linewidth}}"
        "\\setlength{\\LTpost}{\\smallskipamount}",
        f"\\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        f"\\caption{{{tex(table.title)}}}\\label{{tab:{table.name}}}\\\\",
        "\\toprule",
        head,
        "\\midrule",
        "\\endfirsthead",
        f"\\multicolumn{{{count}}}{{@{{}}l}}{{\\tablename~\\thetable, continued}} \\\\",
        "\\toprule",
        head,
        "\\midrule",
        "\\endhead",
        "\\midrule",
        f"\\multicolumn{{{count}}}{{r@{{}}}}{{continued on the next page}} \\\\",
        "\\endfoot",
        "\\bottomrule",
        "\\endlastfoot",
        *(" & ".join(_broken(str(cell)) for cell in row) + " \\\\" for row in table.rows),
        "\\end{longtable}",
        *(below if apart else [*notes, *below]),
        *([f"\\begingroup\\{way.command}", *notes, "\\par\\endgroup"] if apart else []),
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Way:
    """How a long table can be set."""

    command: str
    turned: bool
    """On pages turned by a quarter."""
    widths: tuple[float, ...]
    """Of the columns, in points."""
    fits: bool
    lines: float
    """Of a row, mean over rows."""


def _way(table: "Table") -> _Way:
    """The way that is easiest to read among those that fit and don't break rows into many lines."""
    ways = _ways(table)
    fitting = [way for way in ways if way.fits]
    flat = [way for way in fitting if way.lines <= FLAT]
    return flat[0] if flat else min(fitting or ways[-1:], key=lambda way: way.lines)


def _ways(table: "Table") -> list[_Way]:
    """From the one that is easiest to read to the one that takes least room."""
    found = []
    for turned, numbers in ((False, True), (False, False), (True, True), (True, False)):
        for command, size, wider, _ in _SIZES:
            least, natural = _needs(table, size * wider, numbers)
            # A point is left for what rounding the widths may add.
            room = (PAGE if turned else LINE) - 2 * _GAP * (len(least) - 1) - 1.0
            widths = _shared(least, natural, room)
            found.append(_Way(command, turned, widths, sum(least) <= room, _lines(table, widths, size * wider)))
    return found


def _needs(table: "Table", em: float, numbers: bool) -> tuple[list[float], list[float]]:
    """Width of each column below which something sticks out, and that at which no cell is broken.

    Args:
        numbers: an interval is not broken into lines.
    """
    least, natural = [], []
    for place, column in enumerate(table.columns):
        cells = [str(row[place]) for row in table.rows]
        heading = max(_width(piece, em) for piece in _pieces(column.title))
        narrow = [_width(piece, em) for cell in cells for piece in _pieces(cell, numbers)]
        least.append(max([heading, *narrow]))
        natural.append(max([heading, *(_width(cell, em) for cell in cells)]))
    return least, natural


def _shared(least: Sequence[float], natural: Sequence[float], room: float) -> tuple[float, ...]:
    """Widths that fill no more than the room where that is possible.

    What is left above the least widths is shared evenly, but no column gets more than it lacks: so few columns as
    can be are broken into lines.
    """
    widths, left = list(least), max(0.0, room - sum(least))
    open_ones = sorted(range(len(widths)), key=lambda place: natural[place] - least[place])
    while open_ones:
        place = open_ones[0]
        given = min(natural[place] - least[place], left / len(open_ones))
        widths[place] += given
        left -= given
        open_ones.pop(0)
    return tuple(widths)


def _lines(table: "Table", widths: Sequence[float], em: float) -> float:
    """Lines of a row, mean over rows."""
    blank = _width(" ", em)
    counts = []
    for row in table.rows:
        most = 1
        for cell, width in zip(row, widths, strict=True):
            lines, at = 1, 0.0
            for piece in _pieces(str(cell), numbers=False):
                wide = _width(piece, em)
                if at > 0.0 and at + blank + wide > width + blank:
                    lines, at = lines + 1, 0.0
                at += wide + blank
            most = max(most, lines)
        counts.append(most)
    return sum(counts) / max(1, len(counts))


def _pieces(text: str, numbers: bool = True) -> list[str]:
    """What lines are broken between: blanks and some signs in names.

    Args:
        numbers: numbers and intervals stay whole.
    """
    if numbers and re.fullmatch(r"[-+<>]? ?[\d.,]+( ?(to|±) [-+]?[\d.,]+)?", text):
        return [text]
    return re.split(r"\s+|(?<=\w[-/:_])(?=\S)|(?<=\w\+)(?=[^\W\d])", text)


def _broken(text: str) -> str:
    """Text for LaTeX that may be broken where `_pieces` breaks it; behind a hyphen and at a blank it may anyway."""
    return tex(re.sub(r"(?<=\w)([/:_](?=\S)|\+(?=[^\W\d]))", "\\1\0", text)).replace("\0", _BREAK)


def _width(text: str, em: float) -> float:
    """Of a text on one line, in points."""
    return _SPARE * em * sum(_EMS.get(sign, _OTHER) for sign in text)


def _is_paragraph(table: "Table", place: int) -> bool:
    """Whether a column of a float holds texts so long that they are broken into lines."""
    return not table.right()[place] and max((len(str(row[place])) for row in table.rows), default=0) > 24


def _float_columns(table: "Table") -> str:
    """Numbers on the right; long texts in lines of 3 cm."""
    right = table.right()
    return "".join(
        ">{\\raggedright\\arraybackslash}p{3cm}" if _is_paragraph(table, place) else "r" if right[place] else "l"
        for place in range(len(table.columns))
    )


def _float_width(table: "Table") -> float:
    """Of a float that nothing makes smaller, in points."""
    _, size, wider, _ = _SIZES[0]
    widths = []
    for place, column in enumerate(table.columns):
        texts = [column.title, *(str(row[place]) for row in table.rows)]
        wide = max(_width(text, size * wider) for text in texts) / _SPARE
        widths.append(_PARAGRAPH if _is_paragraph(table, place) else wide)
    return sum(widths) + 2 * _GAP * len(widths)
