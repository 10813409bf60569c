"""The figures that have a target, as bars: 1 is what was aimed at."""

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot


def share(figure):
    """How much of the target, more being better."""
    how, _, bound = figure.target.partition(" ")
    if how == ">=":
        return figure.value / float(bound)
    return float(bound) / figure.value if figure.value else 2


def save(path, figures):
    aimed = [one for one in figures if one.target][::-1]
    names = [f"{one.workload} {one.transport}: {one.name}" for one in aimed]
    plot, axes = pyplot.subplots(figsize=(9, 1 + 0.28 * len(aimed)))
    bars = axes.barh(names, [min(share(one), 5) for one in aimed],
                     color=["tab:green" if one.met else "tab:red"
                            for one in aimed])
    axes.bar_label(bars, [f" {one.value:,.3g} {one.unit} ({one.target})"
                          for one in aimed], fontsize=7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlim(0, 6.5)
    axes.set_xlabel("the target is 1, more is better; cut at 5")
    axes.tick_params(labelsize=7)
    plot.tight_layout()
    plot.savefig(path)
