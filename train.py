"""Compute what is missing: python train.py -exp=NAME (all experiments by default; --help says more)."""

from gridrun.cli import main

if __name__ == "__main__":
    main("train", __file__)
