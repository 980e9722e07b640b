"""Text as LaTeX wants it."""

import re

_TEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "±": "$\\pm$",
    "−": "$-$",
    "–": "--",
    "√": "$\\surd$",
    "α": "$\\alpha$",
    "β": "$\\beta$",
    "σ": "$\\sigma$",
    "²": "$^2$",
    "×": "$\\times$",
    "→": "$\\to$",
    "…": "\\ldots{}",
    "≥": "$\\ge$",
    "≤": "$\\le$",
}


def tex(text: str) -> str:
    """Text for LaTeX: special characters escaped, ``+1.2`` and ``-1.2`` with signs of mathematics."""
    escaped = "".join(_TEX.get(sign, sign) for sign in text)
    return re.sub(r"(?<![\w-])([+-])(?=\d)", r"$\1$", escaped)
