#!/usr/bin/env python3
"""Draws what the workers of a soak test wrote down: one row per seat of the population, time from left to right.

Usage: picture.py LOG TITLE >SVG
"""

import json
import sys
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1200, 70, 20, 84, 46
BANDS = ("#e8f0fa", "#f7f9fc")
ADOPTED, RENEWED, KILLED = "#8fb3dc", "#1a6b2f", "#c62828"


def load(path):
    with open(path, encoding="utf-8") as log:
        return sorted((json.loads(line) for line in log), key=lambda event: event["at_ms"])


def main():
    path, title = sys.argv[1:3]
    events = [event for event in load(path) if event["what"] in ("renewed", "adopted", "killed", "end")]
    begin, end = events[0]["at_ms"], events[-1]["at_ms"]
    # A seat is a group with one process at a time, or a process where many make up a group.
    by_group = any(event["what"] == "killed" for event in events)
    pids = {}
    for event in events:
        pids.setdefault((event["group"], event["pid"]), len(pids))
    if by_group:
        seats = sorted({group for group, _ in pids}, key=lambda group: (len(group), group))
        row = {key: seats.index(key[0]) for key in pids}
    else:
        order = sorted(pids, key=lambda key: (len(key[0]), key[0], pids[key]))
        row = {key: index for index, key in enumerate(order)}
    count = max(row.values()) + 1
    height = max(3.0, min(16.0, 720 / count))
    bottom = TOP + count * height
    scale = (WIDTH - LEFT - RIGHT) / max(1, end - begin)

    def x(at_ms):
        return LEFT + (at_ms - begin) * scale

    def y(event):
        return TOP + (row[event["group"], event["pid"]] + 0.5) * height

    out = []

    def text(at_x, at_y, words, anchor="start", size=12, color="#222"):
        out.append(f'<text x="{at_x:.1f}" y="{at_y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}">'
                   f"{escape(words)}</text>")

    # A band per generation: from its first appearance to the next one's.
    first = {}
    for event in events:
        if event["what"] in ("renewed", "adopted"):
            first.setdefault(event["generation"], event["at_ms"])
    generations = sorted(first)
    room = (WIDTH - LEFT - RIGHT) / max(1, len(generations))
    every = max(1, int(28 / room) + 1)
    for index, generation in enumerate(generations):
        start = first[generation]
        stop = first[generations[index + 1]] if index + 1 < len(generations) else end
        out.append(f'<rect x="{x(start):.1f}" y="{TOP}" width="{max(0, x(stop) - x(start)):.1f}" '
                   f'height="{bottom - TOP:.1f}" fill="{BANDS[index % 2]}"/>')
        if index % every == 0:
            text((x(start) + x(stop)) / 2, TOP - 6, str(generation), "middle", 11, "#667")
    text(LEFT - 6, TOP - 6, "generation", "end", 11, "#667")

    # The life of each process, as far as it was heard of.
    spans = {}
    for event in events:
        key = event["group"], event["pid"]
        start, _ = spans.get(key, (event["at_ms"], 0))
        spans[key] = start, event["at_ms"]
    for key, (start, stop) in spans.items():
        at_y = TOP + (row[key] + 0.5) * height
        out.append(f'<path d="M{x(start):.1f} {at_y:.1f}H{x(stop):.1f}" stroke="#c5d3e4" stroke-width="1"/>')

    small, large = max(1.2, min(2.5, height / 4)), max(3.5, min(5.0, height / 2.2))
    counts = {"renewed": 0, "adopted": 0, "killed": 0}
    for what in ("adopted", "killed", "renewed"):
        for event in events:
            if event["what"] != what:
                continue
            counts[what] += 1
            at_x, at_y = x(event["at_ms"]), y(event)
            if what == "killed":
                arm = large * 0.75
                out.append(f'<path d="M{at_x - arm:.1f} {at_y - arm:.1f}l{2 * arm:.1f} {2 * arm:.1f}m0 {-2 * arm:.1f}'
                           f'l{-2 * arm:.1f} {2 * arm:.1f}" stroke="{KILLED}" stroke-width="1.5" fill="none"/>')
            else:
                color, radius = (RENEWED, large) if what == "renewed" else (ADOPTED, small)
                out.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="{radius:.1f}" fill="{color}"/>')

    seconds = (end - begin) / 1000
    step = next((step for step in (1, 2, 5, 10, 20, 30, 60, 120, 300) if seconds / step <= 14), 600)
    at = 0
    while at <= seconds:
        at_x = x(begin + at * 1000)
        out.append(f'<path d="M{at_x:.1f} {bottom:.1f}v5" stroke="#889"/>')
        text(at_x, bottom + 18, f"{at} s", "middle", 11, "#667")
        at += step
    text(LEFT, 24, title, size=16)
    legend = [(RENEWED, "●", f"renewed ({counts['renewed']})"), (ADOPTED, "●", "took the new token over"),
              (KILLED, "✕", f"killed by kill -9 ({counts['killed']})")]
    at_x = LEFT
    for color, sign, words in legend:
        text(at_x, 48, sign, color=color)
        text(at_x + 14, 48, words)
        at_x += 30 + 7 * len(words)
    rows = "seats, each with one process at a time" if by_group else "processes"
    text(at_x + 10, 48, f"rows: {count} {rows}; bands: one generation of tokens each", color="#667")
    total = bottom + BOTTOM
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total:.0f}" '
          f'font-family="system-ui, sans-serif"><rect width="{WIDTH}" height="{total:.0f}" fill="#fff"/>')
    print("\n".join(out))
    print("</svg>")


main()
