"""Probes of a training: what is measured of curvature and gradients while it runs."""

from jaxml.curvature.probes.ends import NegativeCurvature as NegativeCurvature
from jaxml.curvature.probes.ends import Sharpness as Sharpness
from jaxml.curvature.probes.ends import TopSubspace as TopSubspace
from jaxml.curvature.probes.ends import negative_curvature as negative_curvature
from jaxml.curvature.probes.ends import sharpness as sharpness
from jaxml.curvature.probes.ends import top_subspace as top_subspace
from jaxml.curvature.probes.gradients import (
    DirectionalSharpness as DirectionalSharpness,
)
from jaxml.curvature.probes.gradients import LayerNorms as LayerNorms
from jaxml.curvature.probes.gradients import (
    directional_sharpness as directional_sharpness,
)
from jaxml.curvature.probes.gradients import gradient_cosine as gradient_cosine
from jaxml.curvature.probes.gradients import layer_norms as layer_norms
from jaxml.curvature.probes.gradients import step_cosine as step_cosine
from jaxml.curvature.probes.preconditioned import Scaling as Scaling
from jaxml.curvature.probes.preconditioned import divided_by as divided_by
from jaxml.curvature.probes.preconditioned import (
    preconditioned_sharpness as preconditioned_sharpness,
)
from jaxml.curvature.probes.preconditioned import response as response
from jaxml.curvature.probes.watched import BatchOf as BatchOf
from jaxml.curvature.probes.watched import Cost as Cost
from jaxml.curvature.probes.watched import Point as Point
from jaxml.curvature.probes.watched import Probe as Probe
from jaxml.curvature.probes.watched import Update as Update
from jaxml.curvature.probes.watched import Watched as Watched
from jaxml.curvature.probes.watched import fixed as fixed
from jaxml.curvature.probes.watched import own_data as own_data
from jaxml.curvature.probes.watched import together as together
