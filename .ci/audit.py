"""Look up known vulnerabilities of what is installed, as far as that is possible.

``pip-audit`` calls a package "skipped" that its service does not know or that it cannot
ask for, and is content. An audit of nothing is no audit: this says so instead.
"""

from __future__ import annotations

import json
import subprocess
import sys


def main(pip_audit: str, site_packages: str) -> int:
    """Audit what is installed there; 1 if anything is vulnerable."""
    command = [pip_audit, "--path", site_packages, "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "30"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own tool
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        print("NOT AUDITED: pip-audit reached no service that knows:", *reason)
        return 0
    audited = [each for each in found if "skip_reason" not in each]
    skipped = [each["name"] for each in found if "skip_reason" in each]
    bad = [each for each in audited if each["vulns"]]
    for each in bad:
        ids = ", ".join(vulnerability["id"] for vulnerability in each["vulns"])
        print(f"VULNERABLE: {each['name']} {each['version']}: {ids}")
    print(f"{len(audited)} of {len(found)} packages audited, {len(bad)} vulnerable")
    if skipped:
        print("NOT AUDITED, as the service here does not know them:", *skipped)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
