"""Runs every benchmark, and writes the figures into docs/performance.md, and the plot beside that.

`make bench`, or `python bench/report.py [--quick]`: eight minutes, or less than two with few pairs and smaller sizes.
"""

import argparse
import math
import os
import platform
from pathlib import Path
from typing import Any

import alone
import amplify
import coldstart
import harness
import large
import scaling
import sdk
import spread
import storm

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PAGE = harness.ROOT / "docs" / "performance.md"
PLOT = harness.ROOT / "docs" / "scaling.svg"


def measure(*, quick: bool) -> dict[str, Any]:
    """Run everything."""
    pairs = 1 if quick else 5
    return {
        "quick": quick,
        "one": storm.storm(projects=1, shares=5000 if quick else 20_000, connections=256, pairs=pairs, settings={}),
        "many": storm.storm(projects=60, shares=100, connections=256, pairs=pairs, settings={}),
        "alone": alone.measure(events=50 if quick else 300, delay=0.0),
        "slow": alone.measure(events=20 if quick else 60, delay=0.05),
        "start": coldstart.measure(pairs=3 if quick else 11),
        "sdk": sdk.measure(shares=1000 if quick else 2000, pairs=pairs, delay=0.0),
        "sdk_slow": sdk.measure(shares=1000 if quick else 2000, pairs=pairs, delay=0.02),
        "scaling": scaling.measure(runs=1 if quick else 3),
        "spread": spread.measure(projects=100 if quick else 1000, fanout=10 if quick else 50, delay=0.05),
        "large": large.measure(shares=10_000 if quick else 100_000, events=10_000 if quick else 200_000),
        "hostile": amplify.measure(),
    }


def write_summary(found: dict[str, Any]) -> str:
    """Write what was measured, where and how, as Markdown."""
    one, many, start, kit, slow = (found[name] for name in ("one", "many", "start", "sdk", "sdk_slow"))
    rows = [
        ("storm of one project: events a second, of the bare framework's", _share(one), "≥ 0.7"),
        ("storm of one project: API calls a share", f"{one['calls_per_share']:.3f}", "≤ 0.05"),
        ("storm of 60 projects: events a second, of the bare framework's", _share(many), "≥ 0.2"),
        ("storm of 60 projects: API calls a share", f"{many['calls_per_share']:.2f}", "≤ 0.7"),
        ("one event alone, cloud and sink answer at once", _times(found["alone"]), "≤ 1.3"),
        ("one event alone, cloud and sink take 50 ms", _times(found["slow"]), "≤ 1.3"),
        (
            "process start to the first event answered, over https, of a function that imports the same",
            _begun(start),
            "≤ 1.6",
        ),
        ("memory after a storm", f"{one['memory']:.2f} of the bare framework's", "≤ 1.6"),
        ("shares a second of the vendor's SDK, the cloud takes 20 ms: one image an event", _kit(slow, "alone"), "≥ 8"),
        ("... 100 images an event", _kit(slow, "together"), "≥ 8"),
        (
            "shares a second of the vendor's SDK, the cloud answers at once: one image an event",
            _kit(kit, "alone"),
            "≥ 8",
        ),
        ("... 100 images an event", _kit(kit, "together"), "≥ 8"),
        ("... the bare framework, which settles nothing, one event a share", _kit(kit, "nothing"), ""),
        *_bounds(found["spread"], found["large"], found["hostile"]),
    ]
    lines = [f"| {what} | {figure} | {bound} |" for what, figure, bound in rows]
    table = "\n".join(["| what | measured | bound |", "|---|---|---|", *lines])
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}, {platform.system()}"
    how = "one pair each, so these scatter by a third" if found["quick"] else "medians of interleaved pairs"
    return f"{machine}; {how}.\n\n{table}"


def _bounds(many: dict[str, Any], much: dict[str, Any], hostile: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Give the rows of what must stay bounded."""
    seconds = ", ".join(f"{seconds:.1f}" for seconds in many["seconds"].values())
    shares, events = f"{much['shares']:,}", f"{much['events']:,}"
    return [
        (
            f"a tick over {many['projects']:,} projects, the cloud takes 50 ms: four processes, times as fast as one",
            f"{many['ratio']:.1f} ({seconds} s with one, two, four)",
            "≥ 2",
        ),
        ("... API calls a project, drift included", f"{max(many['calls_per_project']):.2f}", "≤ 4"),
        ("... the longest call of the function", f"{many['longest']:.1f} s", "≤ 80 s"),
        (
            "... with processes killed in the midst: every share and report",
            "all" if many["is_whole"] else "LOST",
            "all",
        ),
        (
            f"a tick over {shares} accepted shares of one project: memory, times that with 500",
            f"{much['sweep_memory']:.2f} ({_mib(much['sweep_bytes'])}; {much['sweep_calls']:.0f} calls)",
            "≤ 1.2",
        ),
        ("24 events at the bound of a body, lists of 230 MB: memory", _mib(much["bulk_bytes"]), "≤ 256 MiB"),
        (f"memory after {events} events, of that after a fifth", f"{much['growth']:.2f}", "≤ 1.1"),
        ("one hostile request: API calls beyond a walk of the lists of each project", str(hostile["most"]), "≤ 60"),
        ("40 ticks at once: sweeps", f"{hostile['sweeps']:.0f}", "≤ 3"),
    ]


def _mib(count: float) -> str:
    return f"{count / (1 << 20):.0f} MiB"


def write_details(found: dict[str, Any]) -> str:
    """Write what a share costs, as Markdown."""
    waiting = [
        f"| {each['waiting']:,} | {each['calls_per_share']:.3f} | {each['cpu_us']:.0f} |" for each in found["scaling"]
    ]
    return "\n".join(["| shares at once | API calls a share | processor µs a share |", "|---|---|---|", *waiting])


def check(found: dict[str, Any]) -> None:
    """Fail where something is far off: calls are counted, so their bounds are tight; times scatter, theirs are loose.

    Raises:
        SystemExit: a figure is out of its bounds.
    """
    bounds = [
        ("API calls a share, one project", found["one"]["calls_per_share"], 0.0, 0.05),
        ("API calls a share, 60 projects", found["many"]["calls_per_share"], 0.0, 0.7),
        ("events a second, one project, of the bare framework's", found["one"]["ratio"], 0.1, math.inf),
        ("events a second, 60 projects, of the bare framework's", found["many"]["ratio"], 0.04, math.inf),
        ("one event alone, times the bare calls", found["slow"]["ratio"], 0.0, 2.0),
        ("shares a second, times the vendor's SDK", found["sdk_slow"]["ratio_alone"], 4.0, math.inf),
        ("start, times that of a function that imports the same", found["start"]["ratio"], 0.0, 4.0),
        ("memory after a storm, times the bare framework's", found["one"]["memory"], 0.0, 3.0),
        ("a tick over many projects, four processes, times as fast as one", found["spread"]["ratio"], 0.5, math.inf),
        ("API calls a project in a spread tick", max(found["spread"]["calls_per_project"]), 0.0, 4.0),
        ("seconds of the longest call of the sweep", found["spread"]["longest"], 0.0, spread.LONGEST),
        ("a spread tick reaches every project, killed or not", float(found["spread"]["is_whole"]), 1.0, 1.0),
        ("memory with many accepted shares, times that with few", found["large"]["sweep_memory"], 0.0, 1.2),
        ("bytes with bulky images and large events", found["large"]["bulk_bytes"], 0.0, large.LIMIT),
        ("memory after many events, times that after some", found["large"]["growth"], 0.0, 1.1),
        ("API calls that one hostile request causes", found["hostile"]["most"], -math.inf, 60.0),
        ("sweeps that 40 ticks at once are", found["hostile"]["sweeps"], 0.0, 3.0),
    ]
    far = [f"{what}: {figure:.3f}" for what, figure, least, most in bounds if not least <= figure <= most]
    if far:
        raise SystemExit("far off: " + "; ".join(far))


def _share(figures: dict[str, float]) -> str:
    return f"{figures['ratio']:.2f} ({figures['events_per_second']:.0f} of {figures['noop_per_second']:.0f})"


def _times(figures: dict[str, float]) -> str:
    return f"{figures['ratio']:.2f} times ({figures['ours_ms']:.1f} of {figures['bare_ms']:.1f} ms)"


def _begun(figures: dict[str, float]) -> str:
    return f"{figures['ratio']:.2f} times ({figures['ours_ms']:.0f} of {figures['floor_ms']:.0f} ms)"


def _kit(figures: dict[str, float], name: str) -> str:
    return (
        f"{figures[f'ratio_{name}']:.1f} times ({figures[f'{name}_per_second']:.0f} of {figures['sdk_per_second']:.0f})"
    )


def make_plan(points: list[dict[str, float]]) -> str:
    """Draw API calls a share over shares at once, both logarithmic, as SVG."""
    width, height, left, bottom = 640, 320, 60, 40
    low = min(-2.0, *(math.log10(each["calls_per_share"]) for each in points))

    def place(each: dict[str, float]) -> tuple[float, float]:
        x = left + math.log10(each["waiting"]) / 4 * (width - left - 30)
        y = 20 + (1 - math.log10(each["calls_per_share"])) / (1 - low) * (height - bottom - 20)
        return round(x, 1), round(y, 1)

    spots = [(place(each), each) for each in points]
    line = " ".join(f"{x},{y}" for (x, y), _ in spots)
    marks = "".join(
        f'<circle cx="{x}" cy="{y}" r="4" fill="#06c"/>'
        f'<text x="{x}" y="{y - 10}" text-anchor="middle">{each["calls_per_share"]:.3g}</text>'
        f'<text x="{x}" y="{height - 18}" text-anchor="middle">{each["waiting"]:,}</text>'
        for (x, y), each in spots
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/>{marks}'
        f'<text x="{width / 2}" y="{height - 2}" text-anchor="middle">shares waiting at once</text>'
        f'<text x="14" y="{height / 2}" text-anchor="middle" transform="rotate(-90 14 {height / 2})">'
        "API calls a share</text>"
        "</svg>\n"
    )


def write_into(page: Path, text: str) -> None:
    """Replace what stands between the marks."""
    whole = page.read_text()
    before, _, rest = whole.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    found = measure(**vars(parser.parse_args()))
    summary, details = write_summary(found), write_details(found)
    print(f"{summary}\n\n{details}")
    write_into(PAGE, f"{summary}\n\n{details}")
    PLOT.write_text(make_plan(found["scaling"]))
    check(found)
