#!/usr/bin/python3
"""Prints the tables that saslprep.c looks up, as C.

RFC 4013 refuses what Unicode 3.2 has not assigned, so only characters of 3.2
are in the tables, and of these nothing has changed since Unicode corrected
five of its decompositions: every Python 3 prints the same. saslprep_tables.h
says what each table is.
"""

import stringprep
import sys
import unicodedata

PLAIN, SPACE, NOTHING, REFUSED, RTL, LTR = (
    "SASLPREP_PLAIN", "SASLPREP_SPACE", "SASLPREP_NOTHING",
    "SASLPREP_REFUSED", "SASLPREP_RTL", "SASLPREP_LTR")

# The tables of RFC 3454 that RFC 4013 names; the first that has a character
# decides. U+200B is in two: PostgreSQL makes it a space.
KINDS = [
    (stringprep.in_table_c12, SPACE),
    (stringprep.in_table_b1, NOTHING),
    (stringprep.in_table_a1, REFUSED),
    (stringprep.in_table_c21_c22, REFUSED),
    (stringprep.in_table_c3, REFUSED),
    (stringprep.in_table_c4, REFUSED),
    (stringprep.in_table_c5, REFUSED),
    (stringprep.in_table_c6, REFUSED),
    (stringprep.in_table_c7, REFUSED),
    (stringprep.in_table_c8, REFUSED),
    (stringprep.in_table_c9, REFUSED),
    (stringprep.in_table_d1, RTL),
    (stringprep.in_table_d2, LTR),
]

HANGUL = range(0xac00, 0xac00 + 11172)  # by computation

# As saslprep_decompositions packs them.
OFFSET_BITS = 14
CODE_BITS = 18


def kind(code):
    for member, name in KINDS:
        if member(chr(code)):
            return name
    return PLAIN


def runs(values):
    """(first code point, value) wherever the value changes."""
    last = None
    for code, value in values:
        if value != last:
            yield code, value
        last = value


def decompositions(codes):
    """The full compatibility decomposition of those that have one."""
    for code in codes:
        text = unicodedata.normalize("NFKD", chr(code))
        if text != chr(code) and code not in HANGUL:
            yield code, text.encode()


def compositions(codes):
    """(first, second, composite) of the canonical pairs."""
    for code in codes:
        parts = unicodedata.decomposition(chr(code)).split()
        if (len(parts) == 2 and not parts[0].startswith("<") and
                unicodedata.normalize("NFC", chr(code)) == chr(code)):
            yield int(parts[0], 16), int(parts[1], 16), code


def pool(texts):
    """All of them, each ended by a NUL; ends of others are not repeated."""
    joined = b""
    for text in sorted(set(texts), key=lambda text: (-len(text), text)):
        if text + b"\0" not in joined:
            joined += text + b"\0"
    return joined


def table(declaration, rows):
    print(f"\nconst {declaration} = {{")
    for row in rows:
        print(f"\t{row},")
    print("};")


def counted(name, kind_of, rows):
    rows = list(rows)
    table(f"{kind_of} {name}[]", rows)
    print(f"const size_t {name}_count = {len(rows)};")


def main():
    kinds = [(code, kind(code)) for code in range(sys.maxunicode + 1)]
    codes = [code for code, name in kinds if name != REFUSED]
    texts = dict(decompositions(codes))
    joined = pool(texts.values())
    pairs = sorted(compositions(codes))
    assert len(joined) <= 1 << OFFSET_BITS and max(texts) < 1 << CODE_BITS
    assert max(max(row) for row in pairs) <= 0xffff

    print('/* Made by saslprep_tables.py. */\n\n#include "pg/saslprep_tables.h"')
    counted("saslprep_kinds", "uint32_t",
            (f"{code:#x} << 8 | {name}" for code, name in runs(kinds)))
    counted("saslprep_classes", "uint32_t",
            (f"{code:#x} << 8 | {value}" for code, value in runs(
                (code, unicodedata.combining(chr(code)) if name != REFUSED
                 else 0) for code, name in kinds)))
    counted("saslprep_decompositions", "uint32_t",
            (f"{code:#x}u << {OFFSET_BITS} | {joined.index(text + bytes(1))}"
             for code, text in sorted(texts.items())))
    table("char saslprep_texts[]",
          (", ".join(f"'\\x{byte:02x}'" for byte in joined[i:i + 8])
           for i in range(0, len(joined), 8)))
    counted("saslprep_compositions", "struct saslprep_composition",
            (f"{{ {first:#x}, {second:#x}, {code:#x} }}"
             for first, second, code in pairs))


main()
