"""results.py: what docs/RESULTS.md claims of our models is against the rival that is best by each metric."""

from __future__ import annotations

from benchmarks import results
from caesura.bench import machine
from caesura.bench.schema import Curve, Difference, Results

PSNR, SEEN = "AVIF speed 6 tune=psnr", "AVIF speed 6 tune=ssimulacra2"
FOUND = {  # by metric and model: against each rival
    "psnr": {"photo": (17.2, 4.4, 30.0), "photo-psnr": (4.2, -7.4, 11.0)},
    "ssimulacra2": {"photo": (-40.0, -18.3, -15.0), "photo-psnr": (2.0, 39.2, 45.0)},
    "ms_ssim_db": {"photo": (-17.3, None, 3.0), "photo-psnr": (-1.4, None, 25.0)},
}


def made() -> Results:
    rivals = (PSNR, SEEN, "AVIF speed 4 tune=iq")
    return Results(
        command="make results",
        made="2026-01-01T00:00:00+00:00",
        caesura="1",
        machine=machine.describe(),
        threads=1,
        repeats=1,
        curves=[Curve(name, []) for name in ("caesura photo", "caesura photo-psnr", *rivals)],
        bd=[
            Difference(f"caesura {model}", rival, metric, percent, None, None, None, {})
            for metric, models in FOUND.items()
            for model, percents in models.items()
            for rival, percent in zip(rivals, percents, strict=True)
        ],
    )


def test_our_best_model_is_set_against_the_hardest_rival_of_each_metric_losses_too() -> None:
    rows = results._best(made()).splitlines()[2:]
    assert rows == [
        f"| SSIMULACRA 2 | `photo` | {SEEN} | -18.3% |",
        f"| MS-SSIM | `photo` | {PSNR} | -17.3% |",  # the other has no overlap
        f"| PSNR | `photo-psnr` | {PSNR} | +4.2% |",
    ]


def test_bundles_carry_figures_against_the_tuning_that_is_for_their_metric() -> None:
    assert PSNR in results._RIVALS
    assert SEEN in results._PERCEPTUAL_RIVALS
    assert not any("iq" in name or "ssimulacra2" in name for name in results._RIVALS)
    assert PSNR not in results._PERCEPTUAL_RIVALS
