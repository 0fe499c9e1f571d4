"""Fake clusters, for the tests of dispatch."""

from fakes.fixtures import lsf as lsf
from fakes.fixtures import slurm as slurm
from fakes.fixtures import tools as tools
