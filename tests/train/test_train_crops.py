"""crops.py: a pack in, each step's batch of random crops out."""

from __future__ import annotations

import itertools
import json
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from caesura.errors import ConfigError
from caesura.train.config import TrainConfig
from caesura.train.crops import Drawings, _plan, crop_batches, cut, cut_on_device
from caesura.train.drawn import drawn
from caesura.train.forward import Shard
from caesura.train.pack import Pack
from caesura.train.prepare import MANIFEST, SQUARES, prepare
from train_helpers import names, position_photo, save

SIDE, CROP = 24, 16
TRAINED, HELD_OUT = 3, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack whose pixels say where they are: row, column, square (train from 0, others from 100)."""
    root = tmp_path_factory.mktemp("crops")
    for number, name in enumerate(names(TRAINED)):
        save(root / "photos" / name, position_photo(SIDE, number))
    for number, name in enumerate(names(HELD_OUT, validation=True)):
        save(root / "photos" / name, position_photo(SIDE, 100 + number))
    prepare(root / "photos", root / "pack", sizes=(SIDE,), side=SIDE)
    return root / "pack"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The same pack, to be damaged."""
    for name in (SQUARES, MANIFEST):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


def draw(pack: Pack, first: int, last: int, **options: Any) -> Iterator[Tensor]:
    """The batches of the steps first .. last - 1."""
    values: dict[str, Any] = {"batch": 4, "crop": CROP, "drawn": 0.0, "seed": 5, "steps": last, **options}
    return crop_batches(pack, TrainConfig(**values), first_step=first, device=torch.device("cpu"))


def batches(pack: Pack, first: int, last: int, **options: Any) -> list[Tensor]:
    return list(draw(pack, first, last, **options))


def crop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "crops"]


def placement(crop: NDArray[np.uint8]) -> tuple[bool, int, int, int, int, int]:
    """Where a crop comes from: transposed or not, top row and direction, left column and direction, square.

    Fails if the crop is not a whole sub-square up to flips and a transpose.
    """
    values = crop.astype(int)
    transposed = bool(values[0, 0, 0] == values[1, 0, 0])
    upright = values.swapaxes(0, 1) if transposed else values
    row, column, number = (int(value) for value in upright[0, 0])
    down = int(upright[1, 0, 0]) - row
    right = int(upright[0, 1, 1]) - column
    assert {abs(down), abs(right)} == {1}
    steps = np.arange(len(crop))
    np.testing.assert_array_equal(upright[..., 0], np.tile(row + down * steps[:, None], (1, len(crop))))
    np.testing.assert_array_equal(upright[..., 1], np.tile(column + right * steps[None], (len(crop), 1)))
    assert (upright[..., 2] == number).all()
    top, left = row - (down < 0) * (len(crop) - 1), column - (right < 0) * (len(crop) - 1)
    return transposed, top, down, left, right, number


def turns(square: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """A square in all eight ways of flips and a transpose."""
    both = (square, square.swapaxes(0, 1))
    return [s[::down, ::right] for s in both for down in (1, -1) for right in (1, -1)]


def test_a_batch_is_uint8_on_the_device_asked_for(folder: Path) -> None:
    (batch,) = batches(Pack(folder), 0, 1)
    assert batch.shape == (4, CROP, CROP, 3)
    assert batch.dtype == torch.uint8
    assert batch.device.type == "cpu"


def test_a_steps_batch_depends_on_seed_and_step_alone(folder: Path) -> None:
    pack = Pack(folder)
    whole, resumed = batches(pack, 0, 9), batches(pack, 5, 9)
    assert len(whole) == 9
    assert len(resumed) == 4
    for expected, got in zip(whole[5:], resumed, strict=True):
        assert torch.equal(expected, got)


def test_steps_and_seeds_give_different_batches(folder: Path) -> None:
    pack = Pack(folder)
    drawn = batches(pack, 0, 4) + batches(pack, 0, 4, seed=6)
    for one, other in itertools.combinations(drawn, 2):
        assert not torch.equal(one, other)


@pytest.mark.slow
def test_crops_are_parts_of_train_squares_at_every_position_and_orientation(folder: Path) -> None:
    crops = torch.cat(batches(Pack(folder), 0, 300)).numpy()
    seen = [placement(crop) for crop in crops]
    assert {number for *_, number in seen} == set(range(TRAINED))
    assert {(top, left) for _, top, _, left, _, _ in seen} == {
        (top, left) for top in range(SIDE - CROP + 1) for left in range(SIDE - CROP + 1)
    }
    turns = [(transposed, down, right) for transposed, _, down, _, right, _ in seen]
    for turn in itertools.product((False, True), (-1, 1), (-1, 1)):
        assert turns.count(turn) / len(turns) == pytest.approx(1 / 8, abs=0.05)


@pytest.mark.parametrize("shard", [Shard(), Shard(1, 2)])
def test_crops_are_the_same_wherever_they_are_cut(shard: Shard) -> None:
    """On the host by slices, on a device by indices that are worked out there."""
    random = np.random.default_rng(3)
    squares = random.integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    plan = _plan(random, len(squares), 64, CROP, SIDE, shard)
    host, device = cut(squares, plan, CROP), cut_on_device(torch.from_numpy(squares), plan, CROP)
    assert host.shape == (64 // shard.ranks, CROP, CROP, 3)
    assert torch.equal(host, device)


def test_without_a_number_of_steps_batches_do_not_end(folder: Path) -> None:
    endless = draw(Pack(folder), 3, 0)
    assert torch.equal(next(endless), batches(Pack(folder), 3, 4)[0])
    assert all(len(next(endless)) == 4 for _ in range(20))
    endless.close()  # type: ignore[attr-defined]


def test_a_crop_may_be_the_whole_square(folder: Path) -> None:
    (batch,) = batches(Pack(folder), 0, 1, crop=SIDE)
    for crop in batch.numpy():
        _, top, _, left, _, _ = placement(crop)
        assert (top, left) == (0, 0)


@pytest.mark.slow
def test_a_share_of_the_crops_is_drawn_and_the_others_stay(folder: Path) -> None:
    pack = Pack(folder)
    plain, mixed = (torch.cat(batches(pack, 0, 300, drawn=share)) for share in (0.0, 0.25))
    replaced = (plain != mixed).flatten(1).any(1)
    assert float(replaced.float().mean()) == pytest.approx(0.25, abs=0.05)


@pytest.mark.slow
def test_drawn_crops_are_parts_of_drawn_squares(folder: Path) -> None:
    pack = Pack(folder)
    plain, mixed = (batches(pack, 3, 4, batch=64, crop=SIDE, drawn=share)[0] for share in (0.0, 0.25))
    replaced = (plain != mixed).flatten(1).any(1)
    squares = [drawn(np.random.default_rng((5, n, 3)), SIDE) for n in range(Drawings.count)]
    known = {turned.tobytes() for square in squares for turned in turns(square)}
    assert replaced.sum() > 5
    assert all(crop.tobytes() in known for crop in mixed[replaced].numpy())


def test_a_steps_drawn_crops_depend_on_seed_and_step_alone(folder: Path) -> None:
    pack = Pack(folder)
    whole, resumed = batches(pack, 0, 9, drawn=0.5), batches(pack, 5, 9, drawn=0.5)
    for expected, got in zip(whole[5:], resumed, strict=True):
        assert torch.equal(expected, got)


def test_a_share_of_the_crops_is_grey_and_the_others_stay(folder: Path) -> None:
    pack = Pack(folder)
    plain, mixed = (torch.cat(batches(pack, 0, 300, grey=share)) for share in (0.0, 0.25))
    changed = (plain != mixed).flatten(1).any(1)
    assert float(changed.float().mean()) == pytest.approx(0.25, abs=0.05)
    for crop, grey in zip(plain[changed].numpy(), mixed[changed].numpy(), strict=True):
        luma = np.asarray(Image.fromarray(crop).convert("L")).astype(int)
        assert (grey == grey[..., :1]).all()
        assert np.abs(grey[..., 0] - luma).max() <= 1


def test_drawn_crops_may_be_grey(folder: Path) -> None:
    options: dict[str, Any] = {"drawn": 0.9, "batch": 64}
    (plain,), (mixed,) = (batches(Pack(folder), 0, 1, grey=share, **options) for share in (0.0, 0.9))
    changed = (plain != mixed).flatten(1).any(1)
    assert changed.sum() > 10
    assert (mixed[changed] == mixed[changed][..., :1]).all()


def test_a_steps_grey_crops_depend_on_seed_and_step_alone(folder: Path) -> None:
    pack = Pack(folder)
    whole, resumed = batches(pack, 0, 9, grey=0.5), batches(pack, 5, 9, grey=0.5)
    for expected, got in zip(whole[5:], resumed, strict=True):
        assert torch.equal(expected, got)


def test_without_drawn_crops_a_step_is_what_it_always_was(folder: Path) -> None:
    """The photographs of a step are drawn as in the first version, so that old runs can be repeated."""
    pack = Pack(folder)
    for step, batch in enumerate(batches(pack, 0, 3)):
        random = np.random.default_rng((5, step))
        photo = random.integers(TRAINED, size=4)
        assert [placement(crop)[-1] for crop in batch.numpy()] == photo.tolist()
        top, left = random.integers(SIDE - CROP + 1, size=(2, 4))
        positions = [placement(crop) for crop in batch.numpy()]
        assert [(p[1], p[3]) for p in positions] == list(zip(top.tolist(), left.tolist(), strict=True))


def test_a_finished_run_gets_no_batches(folder: Path) -> None:
    assert batches(Pack(folder), 3, 3) == []


def test_validation_crops_are_the_middles_of_held_out_squares(folder: Path) -> None:
    crops = Pack(folder).validation_crops(10, CROP)
    assert crops.shape == (HELD_OUT, CROP, CROP, 3)
    assert crops.dtype == torch.uint8
    margin = (SIDE - CROP) // 2
    for number, crop in enumerate(crops.numpy()):
        assert placement(crop) == (False, margin, 1, margin, 1, 100 + number)


def test_no_more_validation_crops_come_than_asked_for(folder: Path) -> None:
    assert len(Pack(folder).validation_crops(1, CROP)) == 1


def test_without_held_out_squares_validation_takes_train_squares(tmp_path: Path) -> None:
    save(tmp_path / "photos" / names(1)[0], position_photo(SIDE, 7))
    prepare(tmp_path / "photos", tmp_path / "pack", sizes=(SIDE,), side=SIDE)
    crops = Pack(tmp_path / "pack").validation_crops(4, CROP)
    assert [placement(crop)[-1] for crop in crops.numpy()] == [7]


def test_a_pack_without_train_squares_cannot_be_trained_on(tmp_path: Path) -> None:
    save(tmp_path / "photos" / names(1, validation=True)[0], position_photo(SIDE))
    prepare(tmp_path / "photos", tmp_path / "pack", sizes=(SIDE,), side=SIDE)
    with pytest.raises(ConfigError, match="no train squares"):
        batches(Pack(tmp_path / "pack"), 0, 1)


def test_crops_larger_than_the_squares_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.crop is 32; the pack's squares have only 24 pixels"):
        batches(Pack(folder), 0, 1, crop=32)


@pytest.mark.slow
def test_a_long_manifest_is_read_without_keeping_its_photos(copy: Path) -> None:
    values = json.loads((copy / MANIFEST).read_text())
    counts = np.arange(20_000) % 3
    starts = np.cumsum(counts) - counts
    splits = ["validation" if number % 16 == 0 else "train" for number in range(len(counts))]
    values["count"] = int(counts.sum())
    values["photos"] = [
        {
            "name": f"{number}.jpg",
            "split": split,
            "start": int(start),
            "count": int(count),
            "sha256": "0" * 64,
        }
        for number, (split, start, count) in enumerate(zip(splits, starts, counts, strict=True))
    ]
    text = json.dumps(values)
    (copy / MANIFEST).write_text(text)
    with (copy / SQUARES).open("r+b") as squares:
        squares.truncate(values["count"] * SIDE * SIDE * 3)
    tracemalloc.start()
    try:
        pack = Pack(copy)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * len(text)  # its bytes and their text at the same time; photos as objects would be 7
    assert sorted([*pack.train, *pack.validation]) == list(range(values["count"]))
    held = {
        start + k
        for start, count, split in zip(starts, counts, splits, strict=True)
        if split != "train"
        for k in range(count)
    }
    assert set(pack.validation) == held


@pytest.mark.parametrize("missing", [SQUARES, MANIFEST])
def test_a_pack_with_a_missing_file_is_refused(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(ConfigError, match="is not a pack made by `caesura data prepare`"):
        Pack(copy)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere is not a pack"):
        Pack(tmp_path / "nowhere")


@pytest.mark.parametrize("change", [-1, 1, -SIDE * SIDE * 3])
def test_a_pack_of_the_wrong_size_is_refused(copy: Path, change: int) -> None:
    data = (copy / SQUARES).read_bytes()
    (copy / SQUARES).write_bytes(data[:change] if change < 0 else data + bytes(change))
    with pytest.raises(ConfigError, match=rf"{SQUARES} holds \d+ bytes, 5 squares of {SIDE} expected"):
        Pack(copy)


@pytest.mark.parametrize("key", ["side", "count", "photos", "format"])
def test_a_manifest_without_a_field_is_refused(copy: Path, key: str) -> None:
    values = json.loads((copy / MANIFEST).read_text())
    del values[key]
    (copy / MANIFEST).write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=r"^data "):
        Pack(copy)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "3", "null", '"text"'])
def test_a_manifest_that_is_none_is_refused(copy: Path, text: str) -> None:
    (copy / MANIFEST).write_text(text)
    with pytest.raises(ConfigError, match="is not a pack"):
        Pack(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("side", None),
        ("count", []),
        ("side", -8),
        ("count", 10**15),
        ("photos", 3),
        ("photos", [{}]),
        ("photos", [{"split": "test"}]),
    ],
)
def test_a_manifest_with_a_field_of_the_wrong_kind_is_refused(copy: Path, key: str, value: Any) -> None:
    values = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps({**values, key: value}))
    with pytest.raises(ConfigError, match=r"^data "):
        Pack(copy)


def test_a_manifest_of_another_format_is_refused(copy: Path) -> None:
    values = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps({**values, "format": "caesura-pack-0"}))
    with pytest.raises(ConfigError, match=r"^data "):
        Pack(copy)


def test_an_error_while_cropping_reaches_the_trainer_and_ends_the_thread(folder: Path) -> None:
    pack = Pack(folder)
    pack.train = np.array([len(pack.squares)])  # a square that is not there
    with pytest.raises(IndexError, match="out of bounds"):
        batches(pack, 0, 3)
    assert crop_threads() == []


def test_no_thread_is_left_when_the_batches_end(folder: Path) -> None:
    batches(Pack(folder), 0, 3)
    assert crop_threads() == []


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_abandoning_the_batches_leaves_no_thread(folder: Path, taken: int) -> None:
    iterator = draw(Pack(folder), 0, 10**9)
    for _ in range(taken):
        next(iterator)
    assert len(crop_threads()) == (taken > 0)
    iterator.close()  # type: ignore[attr-defined]
    assert crop_threads() == []
