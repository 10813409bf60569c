#!/usr/bin/python3
"""Prints status.html as C, with the hashes of what it may run.

The page's Content-Security-Policy allows its own style, its own script and
requests to where it came from: whatever else gets into it does nothing.
"""

import base64
import hashlib
import pathlib
import re

WIDTH = 12  # bytes a line


def allowed(page, tag):
    """The one element of this name, by its hash (CSP level 3, 2.3.1)."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    assert len(found) == 1, f"{len(found)} elements <{tag}>"
    digest = hashlib.sha256(found[0].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def main():
    source = pathlib.Path(__file__).with_name("status.html")
    page = source.read_text(encoding="utf-8")
    policy = "; ".join([
        "default-src 'none'", "base-uri 'none'", "form-action 'none'",
        "connect-src 'self'", "img-src data:",
        f"style-src {allowed(page, 'style')}",
        f"script-src {allowed(page, 'script')}"])
    assert page.count("@CSP@") == 1
    data = page.replace("@CSP@", policy).encode()
    print('/* Made by status_page.py. */\n\n#include "server/status_page.h"\n')
    print("const uint8_t status_page[] = {")
    for at in range(0, len(data), WIDTH):
        row = ", ".join(f"{byte:#04x}" for byte in data[at:at + WIDTH])
        print(f"\t{row},")
    print(f"}};\nconst size_t status_page_len = {len(data)};")


if __name__ == "__main__":
    main()
