"""Draw the figures of what is computed: python make_figures.py -exp=NAME (all experiments by default)."""

from gridrun.cli import main

if __name__ == "__main__":
    main("figures", __file__)
