"""An encoder put together: its stages, and around them refinement and the rate-control cache."""

from __future__ import annotations

from dataclasses import replace

from caesura.coding.cae2026 import Cae2026
from caesura.format.container import Header
from caesura.models.bundle import Bundle
from caesura.ratecontrol.search import Target
from caesura.runtime import transform
from caesura.tiles.cache import CachedAnalysis, CachedStages, RateControlCache
from caesura.tiles.encoder import Encoder
from caesura.tiles.layers import Layers
from caesura.tiles.lossless import LosslessChoice
from caesura.tiles.refinement import RefinedStages, Refinement
from caesura.tiles.stages import SegmentStages, Stages, analysis


def build_encoder(
    header: Header,
    bundle: Bundle,
    effort: int,
    *,
    exact: bool = False,
    target: Target | None = None,
    decodes: bool = False,
    refinement: Refinement | None = None,
    cache: RateControlCache | None = None,
) -> Encoder:
    """The encoder of a picture.

    Args:
        header: of the file.
        bundle: the model that it names.
        effort: 1 to 9.
        exact: colours of fully transparent pixels matter.
        target: of rate control, see `LosslessChoice`.
        decodes: whether decoded colours will be asked for (`Encoder.reconstruct`).
        refinement: for effort 9; cae2017 has nothing to refine.
        cache: what trials of this picture at several ladder positions share.
    """
    layers = Layers.for_header(header, bundle, effort, as_input=cache is not None)
    transform.load(layers.conditioning, transform.ENCODING)
    analyse = analysis(layers)
    if cache is not None:
        cache.reset(header.ladder_position, bundle.ladder_top)
        at_cached = replace(header, ladder_position=cache.cached_position)
        analyse = CachedAnalysis(analysis(Layers.for_header(at_cached, bundle, as_input=True)), cache)
    # A trial above the ladder's top may reuse what one at the top has coded.
    decodes = decodes or cache is not None or layers.conditioning.above_ladder
    plain = SegmentStages(layers, analyse, decodes=decodes)
    stages: Stages = plain
    if refinement is not None and isinstance(layers.coder, Cae2026):
        stages = RefinedStages(plain, layers.coder, refinement)
    candidates = None if cache is None else cache.lossless
    choose = LosslessChoice(layers, effort, exact=exact, target=target, candidates=candidates)
    return Encoder(stages if cache is None else CachedStages(stages, cache), choose)
