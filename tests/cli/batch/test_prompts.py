"""Reading prompt files."""

from __future__ import annotations

import io

import pytest

from pictory_async import ImageRequest
from pictory_async.cli._batch.prompts import FIELDS, BadRow, Row, format_of, read_rows
from pictory_async.cli._errors import Misuse


def read(data: bytes | str, kind: str, **defaults: str) -> list[Row | BadRow]:
    """Read all rows of a file in memory."""
    source = io.BytesIO(data if isinstance(data, bytes) else data.encode())
    return list(read_rows(source, kind, defaults))


def prompts(data: bytes | str, kind: str) -> list[tuple[int, str]]:
    """Read lines and prompts, all of them valid."""
    return [(row.line, row.request.prompt) for row in read(data, kind)]


def problem(data: bytes | str, kind: str) -> tuple[int, str]:
    """Read the only row, a bad one."""
    (row,) = read(data, kind)
    return row.line, row.problem


def test_txt_is_a_prompt_a_line() -> None:
    """Blank lines are skipped, any line ending will do, and there are no comments."""
    data = "\ufeffA lighthouse\r\n\r\n  # A red, bicycle  \rA cat\u2028here\n\t\nA dog"

    assert prompts(data, "txt") == [
        (1, "A lighthouse"),
        (3, "# A red, bicycle"),
        (4, "A cat\u2028here"),
        (6, "A dog"),
    ]


def test_csv_has_named_columns() -> None:
    """Quoted cells may hold commas, quotes and lines; empty cells take the default."""
    data = (
        "\ufeffmodel, prompt ,style\r\n"
        ',"A ""red"" cat,\r\nasleep",vintage\r\n'
        "\r\n"
        "flux-schnell,A dog\r\n"
    )

    assert read(data, "csv", style="cartoon", aspect_ratio="16:9") == [
        Row(
            2,
            ImageRequest(
                'A "red" cat,\r\nasleep', style="vintage", aspect_ratio="16:9"
            ),
        ),
        Row(
            5,
            ImageRequest(
                "A dog", model="flux-schnell", style="cartoon", aspect_ratio="16:9"
            ),
        ),
    ]


def test_every_field_of_a_request_is_a_column() -> None:
    """In a tsv file the separator is a tab; the last column names the file."""
    values = ["A cat", "m1", "4:3", "odd", "https://a.example/b", "https://a.example"]
    data = "\t".join(FIELDS) + "\n" + "\t".join([*values, "cat.png"])

    (row,) = read(data, "tsv")

    assert [getattr(row.request, name) for name in FIELDS[:-1]] == values
    assert (row.filename, row.columns) == ("cat", {})


def test_jsonl_is_an_object_a_line() -> None:
    """Null takes the default; blank lines are skipped."""
    data = (
        '{"prompt": "A c\\u00e4t", "model": null}\n\n{"style": "x", "prompt": "A dog"}'
    )

    assert read(data, "jsonl", model="m") == [
        Row(1, ImageRequest("A cät", model="m")),
        Row(3, ImageRequest("A dog", model="m", style="x")),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[]", "must be a JSON object"),
        ("{nope", "is not JSON: Expecting property name"),
        ('{"prompt": "A cat"', "ends too early, at column 19: Expecting ',' delim"),
        ('  {"prompt": ', "ends too early, at column 13: Expecting value"),
        ('{"prompt": "A cat}', "is not JSON: Unterminated string starting at (col"),
        ("{", "ends too early, at column 2: Expecting property name"),
        ('{"prompt": "A cat",}', "is not JSON: "),
        ('{"prompt": "A \0 cat"}', "has NUL characters; probably it is UTF-16"),
        ('{"prompt": "A \\u0000 cat"}', "prompt: has the control character U+0000; "),
        ('{"prompt": "A cat", "id": "\\u001b"}', "id: has the control character U+00"),
        ('{"prompt": "A cat", "filename": 7}', "filename: must be a string, not int"),
        ('{"prompt": "A cat", "prompt": "A dog"}', "a name occurs twice"),
        ("[" * 100_000, "is not usable JSON"),
        ('{"model": "m"}', "prompt: is missing"),
        ('{"prompt": 5}', "prompt: must be a string, not int"),
        ('{"promt": "A cat"}', "unknown 'promt': is prompt meant? Allowed are promp"),
        ('{"prompt": "A cat", "modle": 1}', "unknown 'modle': is model meant? Allow"),
        ('{"prompt": "A cat", "model": ["m"]}', "model: must be a non-empty string"),
        ('{"prompt": "A cat", "webhook": "here"}', "webhook: must be an absolute"),
        ('{"prompt": "\\ud800 cats"}', "prompt: must be valid Unicode"),
    ],
)
def test_a_bad_object_says_what_is_allowed(line, expected) -> None:
    """The number of its line is reported with it."""
    number, text = problem(f"\n{line}\n", "jsonl")

    assert number == 2
    assert expected in text


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("A cat,m,too much", "has 3 cells for 2 columns"),
        ('"A"cat,m', "its quotes are malformed"),
        ('"A cat', "its quotes are malformed"),
        ("cat,m", "prompt: must be 5 to 5,000 characters, this one has 3"),
        (",m", "prompt: is missing"),
        (b"A c\xe4t,m", "prompt: is not UTF-8 text; probably it is Windows-1252"),
        ("A\0 \0c\0a\0t\0,m", "prompt: has NUL characters; probably it is UTF-16"),
        ("A \x1bcat,m", "prompt: has the control character U+001B"),
    ],
)
def test_a_bad_record_says_what_is_allowed(record, expected) -> None:
    """The number of the line on which it begins is reported with it."""
    record = record if isinstance(record, bytes) else record.encode()

    number, text = problem(b"prompt,model\n\n" + record, "csv")

    assert number == 3
    assert expected in text


def test_a_bad_line_does_not_hide_the_next() -> None:
    """Every bad line is reported."""
    rows = read('prompt\nno\n"x"y\nA cat\nno\n', "csv")

    assert [(row.line, type(row)) for row in rows] == [
        (2, BadRow),
        (3, BadRow),
        (4, Row),
        (5, BadRow),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", "must name the columns"),
        ("model\n", "must name the columns"),
        ("prompt,prompt\n", "each once"),
        ("prompt,Model,model\n", "each once"),
        ("prompt,notes,notes\n", "each once"),
        ("prompt,modell\n", "line 1: unknown 'modell': is model meant\\? Allowed"),
        ("text;id\n", "line 1: must name .* by commas or semicolons or tabs; allowed"),
        ("sep=|\ntext|id\n", "line 2: must name .* by '\\|'; allowed"),
        (b"prompt;Gr\xf6\xdfe\n", "line 1: is not UTF-8 .* Windows-1252"),
        ('"prompt\n', "its quotes are malformed"),
        ("prompt\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
    ],
)
def test_a_file_without_usable_columns_is_refused(data, expected) -> None:
    """The file as a whole is refused, with the columns that are allowed."""
    with pytest.raises(Misuse, match=expected):
        read(data, "csv")


def test_a_csv_file_may_have_no_records() -> None:
    """Such a file has no prompts."""
    assert read("prompt\r\n", "csv") == []


@pytest.mark.parametrize("name", ["a.txt", "A.CSV", "b.c.tsv", "x.jsonl"])
def test_the_end_of_the_name_is_the_format(name) -> None:
    """Upper and lower case are the same."""
    assert format_of(name) == name.lower().rpartition(".")[2]


@pytest.mark.parametrize("name", ["txt", "prompts", "prompts.md"])
def test_another_name_needs_the_option(name) -> None:
    """The message names the option for the format."""
    with pytest.raises(Misuse, match="--format"):
        format_of(name)


def test_reads_no_further_than_needed() -> None:
    """A file of any length can be checked."""

    class Endless(io.RawIOBase):
        """Prompts without end."""

        def readable(self) -> bool:
            """Return True."""
            return True

        def readinto(self, buffer) -> int:
            """Fill the buffer with lines, the last one possibly cut."""
            data = (b"A lighthouse\n" * len(buffer))[: len(buffer)]
            buffer[:] = data
            return len(data)

    rows = read_rows(io.BufferedReader(Endless()), "txt", {})

    assert [next(rows).line for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("Prompt;Aspect Ratio\r\nA cat, asleep;16:9\r\n", "csv"),
        ("sep=;\r\nPrompt;Aspect Ratio\r\nA cat, asleep;16:9\r\n", "csv"),
        ('"sep=;"\nPROMPT;aspect-ratio\nA cat, asleep;16:9\n', "csv"),
        ("sep=|\nprompt|aspectRatio\nA cat, asleep|16:9\n", "csv"),
        ("prompt\tAspect ratio\nA cat, asleep\t16:9\n", "csv"),
        ("prompt;aspect_ratio\nA cat, asleep;16:9\n", "tsv"),
        ('prompt,aspect_ratio\n"A cat, asleep",16:9\n', "tsv"),
        ('\ufeff"Prompt","Aspect Ratio",,,\n"A cat, asleep",16:9,,,,,\n,,,\n', "csv"),
        ('{"Prompt": "A cat, asleep", "aspectRatio": "16:9"}', "jsonl"),
    ],
)
def test_reads_what_spreadsheets_write(data, kind) -> None:
    """Separators are found, names may be spelt freely, empty columns are dropped."""
    (row,) = read(data, kind)

    assert row.request == ImageRequest("A cat, asleep", aspect_ratio="16:9")
    assert row.columns == {}
    assert row.line == data.count("\n", 0, data.index("A cat")) + 1


@pytest.mark.parametrize(
    ("data", "kind", "columns"),
    [
        ("id,prompt,Notes\n7,A cat,\n", "csv", {"id": "7"}),
        (",prompt\n0,A cat\n", "csv", {"column 1": "0"}),
        (
            '{"prompt": "A cat", "id": 7, "tags": ["a"]}',
            "jsonl",
            {"id": 7, "tags": ["a"]},
        ),
    ],
)
def test_other_columns_are_kept_and_not_sent(data, kind, columns) -> None:
    """They are a user's own, such as the key of a table."""
    (row,) = read(data, kind)

    assert row.request == ImageRequest("A cat")
    assert row.columns == columns


def test_a_comma_in_a_prompt_is_not_taken_for_an_empty_column() -> None:
    """A part of the prompt would be lost, and the rest paid for."""
    number, text = problem("prompt,,\nA cat, asleep,\n", "csv")

    assert number == 2
    assert "has 2 cells for 1 columns" in text
