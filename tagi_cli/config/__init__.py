"""The config engine: composes, checks, dumps and documents options; knows none by name."""

from __future__ import annotations

from tagi_cli.config.catalogue import Catalogue as Catalogue
from tagi_cli.config.check import check as check
from tagi_cli.config.compose import Composed as Composed
from tagi_cli.config.compose import compose as compose
from tagi_cli.config.dump import dump as dump
from tagi_cli.config.dump import load as load
from tagi_cli.config.dump import tree_of as tree_of
from tagi_cli.config.interpolation import reveal as reveal
from tagi_cli.config.own import own_copy as own_copy
from tagi_cli.config.reference import reference as reference
from tagi_cli.config.sweep import Job as Job
from tagi_cli.config.sweep import jobs as jobs
from tagi_cli.config.sweep import launcher as launcher
from tagi_cli.config.tune import tune_section as tune_section
