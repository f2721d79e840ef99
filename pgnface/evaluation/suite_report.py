"""One report of several benchmarks in HTML, Markdown, LaTeX and JSON, with published numbers."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pgnface._output import prepare_folder

from .plots import plot_cumulative_error, plot_error_map
from .published import published_rows
from .result import Result, Table, format_number

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 2rem }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
tr.peer td { color: #666 }
img { max-width: 100%; display: block; margin: 1rem 0 }
"""


class Row(NamedTuple):
    """A row of the report's tables; ``source`` counts from 1, 0 for what was measured here."""

    name: str
    cells: tuple[str, ...]
    source: int


class Sources:
    """The sources that are cited, numbered in the order of their first use."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        """Of a source, from 1."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def write_suite_report(
    folder: str | Path,
    results: Sequence[Result],
    *,
    method: str,
    failed: Mapping[str, str] | None = None,
) -> Path:
    """Write ``report.html`` (which carries its pictures), ``report.md``, ``report.tex``,
    ``report.json`` and the pictures.

    Args:
        folder: made unless it is there.
        results: in the order of the report.
        method: name of what was measured.
        failed: runs that gave no result, with the reason.

    Returns:
        the HTML file.

    Raises:
        UserError: when the folder cannot be written to.
    """
    folder = prepare_folder(folder)
    failed = failed or {}
    pictures = [_draw(folder, number, result) for number, result in enumerate(results, 1)]
    numbers = {
        "method": method,
        "results": [{**result.to_dict(), "published": _published(result)} for result in results],
        "failed": dict(failed),
    }
    (folder / "report.json").write_text(json.dumps(numbers, indent=1) + "\n")
    for name, write in (("md", _markdown), ("tex", _latex), ("html", _html)):
        (folder / f"report.{name}").write_text(write(folder, results, pictures, method, failed))
    return folder / "report.html"


def table_rows(table: Table, sources: Sources) -> list[Row]:
    """The measured rows of a table and the published ones that belong beside them."""
    rows = [
        Row(name, tuple(format_number(value, table.digits) for value in values), 0)
        for name, values in table.rows.items()
    ]
    for peer in published_rows().get(table.key, ()):
        cells = tuple(
            format_number(peer.values.get(column, float("nan")), table.digits)
            for column in table.columns
        )
        rows.append(Row(peer.method, cells, sources.number(peer.source)))
    return rows


def _published(result: Result) -> dict[str, list[dict[str, object]]]:
    return {
        table.title: [
            {"method": row.method, "values": dict(row.values), "source": row.source}
            for row in published_rows().get(table.key, ())
        ]
        for table in result.tables
        if table.key in published_rows()
    }


def _draw(folder: Path, number: int, result: Result) -> list[tuple[str, str]]:
    """Pictures of a result: what they show, and the file's name."""
    drawn = []
    if result.errors:
        name = f"curves_{number}.png"
        plot_cumulative_error(result.errors, folder / name, None, f"error, {result.unit}")
        drawn.append(("Cumulative error", name))
    if result.error_map is not None:
        name = f"error_map_{number}.png"
        plot_error_map(result.error_map, folder / name)
        drawn.append(("Where the error lies", name))
    return drawn


def _facts(result: Result) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in result.facts.items())


def _markdown(folder, results, pictures, method, failed) -> str:
    sources, lines = Sources(), [f"# Benchmarks: {method}", ""]
    for result, drawn in zip(results, pictures, strict=True):
        lines += [f"## {result.title}", "", _facts(result), ""]
        for table in result.tables:
            escaped = [_pipes(column) for column in ("", *table.columns)]
            lines += [f"**{_pipes(table.title)}**", "", f"| {' | '.join(escaped)} |"]
            lines.append("|---" + "|---:" * len(table.columns) + "|")
            for row in table_rows(table, sources):
                name = _pipes(row.name) + (f" [{row.source}]" if row.source else "")
                lines.append(f"| {' | '.join((name, *row.cells))} |")
            lines.append("")
        lines += [f"![{what}]({name})\n" for what, name in drawn]
    lines += _list(sources.texts, "## Sources", "{number}. {text}")
    lines += _list([f"{k}: {v}" for k, v in failed.items()], "## Failed", "- {text}")
    return "\n".join(lines) + "\n"


def _html(folder, results, pictures, method, failed) -> str:
    sources, title = Sources(), html.escape(f"Benchmarks: {method}")
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>",
    ]
    for result, drawn in zip(results, pictures, strict=True):
        parts.append(f"<h2>{html.escape(result.title)}</h2><p>{html.escape(_facts(result))}</p>")
        for table in result.tables:
            heads = "".join(f"<th>{html.escape(column)}</th>" for column in ("", *table.columns))
            parts.append(f"<table><caption>{html.escape(table.title)}</caption><tr>{heads}</tr>")
            for row in table_rows(table, sources):
                name = html.escape(row.name) + (f" <sup>{row.source}</sup>" if row.source else "")
                cells = "".join(f"<td>{cell}</td>" for cell in (name, *row.cells))
                parts.append(f"<tr{' class=peer' if row.source else ''}>{cells}</tr>")
            parts.append("</table>")
        for what, name in drawn:
            data = base64.b64encode((folder / name).read_bytes()).decode()
            parts.append(f'<img alt="{what}" src="data:image/png;base64,{data}">')
        if result.skipped:
            parts.append(f"<details><summary>{len(result.skipped)} left out</summary><ul>")
            parts += [
                f"<li>{html.escape(name)}: {html.escape(reason)}</li>"
                for name, reason in result.skipped.items()
            ]
            parts.append("</ul></details>")
    if sources.texts:
        items = "".join(f"<li>{html.escape(text)}</li>" for text in sources.texts)
        parts.append(f"<h2>Sources of published numbers</h2><ol>{items}</ol>")
    if failed:
        items = "".join(f"<li>{html.escape(f'{k}: {v}')}</li>" for k, v in failed.items())
        parts.append(f"<h2>Failed</h2><ul>{items}</ul>")
    return "\n".join(parts) + "</html>\n"


def _latex(folder, results, pictures, method, failed) -> str:
    sources = Sources()
    lines = [r"% \usepackage{booktabs}; published numbers are cited in the comments at the end."]
    for result in results:
        for table in result.tables:
            lines += [
                r"\begin{table}",
                rf"\caption{{{_tex(result.title)}: {_tex(table.title)}}}",
                rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
                r"\toprule",
                " & ".join(("", *map(_tex, table.columns))) + r" \\",
                r"\midrule",
            ]
            rows = table_rows(table, sources)
            for row in rows:
                if row.source and row is next(r for r in rows if r.source):
                    lines.append(r"\midrule")
                mark = f"$^{{{row.source}}}$" if row.source else ""
                lines.append(" & ".join((_tex(row.name) + mark, *row.cells)) + r" \\")
            lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    lines += _list(sources.texts, "% Sources:", "% {number}. {text}")
    return "\n".join(lines) + "\n"


def _list(texts: Sequence[str], heading: str, form: str) -> list[str]:
    """A heading and its lines; nothing where there are none."""
    lines = [form.format(number=number, text=text) for number, text in enumerate(texts, 1)]
    return [heading, "", *lines, ""] if lines else []


def _pipes(text: str) -> str:
    return text.replace("|", r"\|")


def _tex(text: str) -> str:
    escape: Callable[[str], str] = {c: rf"\{c}" for c in "&%$#_{}"}.get
    return "".join(escape(c, c) for c in text).replace("|", r"$|$")
