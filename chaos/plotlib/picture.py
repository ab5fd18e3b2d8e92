"""Draws the panels of a run, one above the other, on one time axis."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

# Okabe and Ito's colours, which people who see few colours can tell apart.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442",
)
GREY = "#888888"

# What is done to somebody, in groups that look alike.
GROUPS = [
    ("killed", RED, {"kill", "kill_and_lose_disk", "reboot", "replace_voter"}),
    ("stopped or hung", ORANGE, {"stop", "hang", "starve", "clock"}),
    ("cut, lossy or slow", BLUE, {"cut", "cut_one_way", "ring", "flap", "loss", "rate", "delay", "reset"}),
    ("out of files or disk", PURPLE, {"exhaust_files", "fill_disk"}),
    ("operated on", GREEN, {"restart", "upgrade", "drain", "move", "rotate_token", "drop_fleet"}),
]


def colour_of(action):
    return next((colour for _, colour, actions in GROUPS if action in actions), GREY)


def clock(seconds, _=None):
    seconds = int(round(seconds))
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" if seconds >= 3600 else f"{seconds // 60}:{seconds % 60:02d}"


def milliseconds(value, _=None):
    if value >= 1000:
        return f"{value / 1000:g} s"
    return f"{value:g} ms"


def nothing(axes, text):
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def heading(axes, text):
    axes.set_title(text, loc="left", fontsize=9, fontweight="bold", pad=3)


def draw(run, paths):
    victims = victims_of(run)
    heights = [max(1.0, 0.24 * len(victims) + 0.5), max(0.7, 0.22 * len(run.servers()) + 0.4), 1.1, 2.2, 1.6]
    figure, panels = plt.subplots(
        5, 1, sharex=True, figsize=(11.7, 2.2 + sum(heights) * 0.95), gridspec_kw={"height_ratios": heights})
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.set_xlim(0, run.length)
    draw_faults(panels[0], run, victims)
    draw_leaders(panels[1], run)
    draw_availability(panels[2], run)
    draw_latencies(panels[3], run)
    draw_streams(panels[4], run)
    for axes in panels[2:]:
        for fault in run.faults:
            axes.axvspan(fault["there"], max(fault["ended"], fault["there"] + run.length / 800), color=GREY, alpha=0.12, lw=0)
    panels[-1].xaxis.set_major_formatter(FuncFormatter(clock))
    panels[-1].set_xlabel("time since the traffic was complete; grey: while a fault is at work", fontsize=8)
    title(figure, run)
    for path in paths:
        figure.savefig(path, dpi=120)
    plt.close(figure)


def title(figure, run):
    if run.broken:
        verdict, colour = "broken: " + ", ".join(run.broken), RED
    elif run.void:
        verdict, colour = "not judged: " + ", ".join(run.void), ORANGE
    else:
        verdict, colour = "every promise held", GREEN
    figure.suptitle(run.title, x=0.06, y=0.985, ha="left", fontsize=13, fontweight="bold")
    figure.text(
        0.06, 1 - 0.44 / figure.get_figheight(), f"{run.name}, seed {run.seed}, {run.date}, {run.machine}", fontsize=8, color="#444444", va="top")
    shown = verdict if len(verdict) < 150 else verdict[:147] + "..."
    figure.text(0.06, 1 - 0.62 / figure.get_figheight(), shown, fontsize=9, fontweight="bold", color=colour, va="top")
    figure.subplots_adjust(left=0.11, right=0.94, top=1 - 1.05 / figure.get_figheight(), bottom=0.5 / figure.get_figheight(), hspace=0.38)


def victims_of(run):
    names = {name for fault in run.faults for name in fault["victims"][:6]}
    return sorted(names)


def draw_faults(axes, run, victims):
    heading(axes, "What was done, and to whom")
    if not run.faults:
        nothing(axes, "nothing at all")
        axes.set_yticks([])
        return
    rows = {name: row for row, name in enumerate(victims)}
    shown = set()
    for fault in run.faults:
        width = max(fault["ended"] - fault["there"], run.length / 300)
        for name in fault["victims"][:6]:
            axes.barh(rows[name], width, left=fault["there"], height=0.7, color=colour_of(fault["action"]), lw=0)
        if fault["victims"] and len(run.faults) <= 24:
            axes.text(fault["there"], rows[fault["victims"][0]] - 0.42, fault["action"], fontsize=6.5, va="bottom")
        shown.add(colour_of(fault["action"]))
    axes.set_yticks(range(len(victims)), victims)
    axes.set_ylim(len(victims) - 0.4, -0.9)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour, label=text) for text, colour, _ in GROUPS if colour in shown]
    axes.legend(handles=handles, fontsize=7, ncols=5, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)


def draw_leaders(axes, run):
    heading(axes, "Who led")
    servers = run.servers()
    stretches = run.leaders()
    if not stretches:
        nothing(axes, "nobody was asked")
        return
    rows = {name: row for row, name in enumerate(servers)}
    for leader, start, end in stretches:
        if leader is None:
            axes.axvspan(start, end, color=RED, alpha=0.35, lw=0)
        else:
            axes.barh(rows[leader], end - start, left=start, height=0.7, color=SKY, lw=0)
    for life in run.lives:
        if life["name"] in rows and life.get("ended") is not None:
            back = min((o["started"] for o in run.lives if o["name"] == life["name"] and o["started"] > life["ended"]), default=None)
            until = (back if back is not None else run.began + run.length) - run.began
            start = life["ended"] - run.began
            if 0 <= start <= run.length:
                axes.plot([start, until], [rows[life["name"]]] * 2, color="black", lw=1.2, solid_capstyle="butt")
    axes.set_yticks(range(len(servers)), servers)
    axes.set_ylim(len(servers) - 0.4, -0.6)
    axes.text(1, 1.02, "red: nobody led   black: not running", transform=axes.transAxes, ha="right", va="bottom", fontsize=7, color="#444444")


def draw_availability(axes, run):
    heading(axes, "Short requests that were answered")
    clients = run.availability()
    if not clients:
        nothing(axes, "no requests were made")
        return
    for number, (who, points) in enumerate(clients.items()):
        colour = [BLUE, GREEN, PURPLE, ORANGE][number % 4]
        axes.step([p[0] for p in points], [p[1] * 100 for p in points], where="post", color=colour, lw=1.2, label=who)
    failed = {}
    for points in clients.values():
        for time, _, count in points:
            failed[time] = failed.get(time, 0) + count
    marks = [(time, count) for time, count in failed.items() if count]
    axes.plot([m[0] + run.step / 2 for m in marks], [-8] * len(marks), "|", color=RED, ms=7, clip_on=False)
    axes.set_ylim(-14, 106)
    axes.set_yticks([0, 50, 100], ["0 %", "50 %", "100 %"])
    total = sum(count for _, count in marks)
    axes.text(1, 1.02, f"red: {total} failed", transform=axes.transAxes, ha="right", va="bottom", fontsize=7, color=RED if total else "#444444")
    axes.legend(fontsize=7, ncols=4, loc="center left", frameon=False)


def draw_latencies(axes, run):
    heading(axes, "How long short requests took")
    drawn = False
    for kind, colour, text in (("new", BLUE, "on a new connection"), ("get", GREEN, "on a kept one")):
        points = run.latencies(kind)
        if not points:
            continue
        drawn = True
        times = [p[0] + run.step / 2 for p in points]
        axes.plot(times, [p[1] * 1000 for p in points], color=colour, lw=0.9, ls=":", label=f"{text}: half of them")
        axes.plot(times, [p[2] * 1000 for p in points], color=colour, lw=1.2, label="99 %")
        axes.plot(times, [p[3] * 1000 for p in points], ".", color=colour, ms=3, label="the slowest")
    control = run.latencies("new", control=True)
    if control:
        axes.plot([p[0] + run.step / 2 for p in control], [p[2] * 1000 for p in control], color=GREY, lw=1, label="past the tunnel: 99 %")
    if not drawn:
        nothing(axes, "no requests were answered")
        return
    for text, limit, outcome in run.limits("slowest_") + run.limits("p99_"):
        axes.axhline(limit * 1000, color=RED if outcome == "broken" else "#444444", lw=0.9, ls="--")
        axes.text(run.length, limit * 1000, text + " ", fontsize=7, ha="right", va="bottom", color=RED if outcome == "broken" else "#444444")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(milliseconds))
    axes.legend(fontsize=7, ncols=4, loc="upper left", frameon=False, columnspacing=1)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 4)


def draw_streams(axes, run):
    heading(axes, "Long streams (watches, exec, streams to kubelets), and how late events came")
    line, broken = run.streams()
    if len(line) < 3 and not run.lateness():
        nothing(axes, "there were none")
        return
    axes.step([p[0] for p in line], [p[1] for p in line], where="post", color=BLUE, lw=1.2)
    axes.set_ylabel("open", fontsize=8, color=BLUE)
    axes.set_ylim(0, max(p[1] for p in line) * 1.25 + 1)
    axes.plot(broken, [0.5] * len(broken), "|", color=RED, ms=8, clip_on=False)
    other = axes.twinx()
    other.spines["top"].set_visible(False)
    other.tick_params(labelsize=8)
    late = run.lateness()
    other.step([p[0] for p in late], [p[1] * 1000 for p in late], where="post", color=ORANGE, lw=1)
    other.set_ylabel("late", fontsize=8, color=ORANGE)
    other.yaxis.set_major_formatter(FuncFormatter(milliseconds))
    other.set_ylim(bottom=0)
    for time, harm in run.harms():
        axes.axvline(time, color=RED, lw=1.2)
        axes.text(time, axes.get_ylim()[1], f" {harm}", fontsize=7, color=RED, va="top")
    axes.text(1, 1.02, f"red: {len(broken)} broken, {len(run.harms())} harmed", transform=axes.transAxes, ha="right", va="bottom", fontsize=7, color=RED if broken or run.harms() else "#444444")
