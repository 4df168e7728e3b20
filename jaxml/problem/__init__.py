"""WHAT is learned: data, models, losses, and the objectives they make together."""
# ruff: noqa: F403 (each module's `__all__` is its public surface, and this room's is
# their union)

from jaxml.problem.data.embedded import *
from jaxml.problem.data.examples import *
from jaxml.problem.data.idx import *
from jaxml.problem.data.image_sets import *
from jaxml.problem.data.text import *
from jaxml.problem.labels import *
from jaxml.problem.losses import *
from jaxml.problem.models.convolution import *
from jaxml.problem.models.dense import *
from jaxml.problem.models.image import *
from jaxml.problem.models.linen import *
from jaxml.problem.models.nnx import *
from jaxml.problem.objectives import *
from jaxml.problem.tasks.line import *
from jaxml.problem.tasks.networks import *
from jaxml.problem.tasks.variants import *
from jaxml.problem.tasks.workloads import *
from jaxml.problem.toys import *
from jaxml.provenance import read
