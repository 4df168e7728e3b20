"""Networks of pictures: what is compared trains the same. No time is judged."""

import importlib
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from jaxml import learn, problem
from jaxml.bench import batch_points, grids, peers, pictures, torch_cnn, torch_pictures
from jaxml.bench.race import Entrant

TINY = pictures.SMOKE


def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our ways do nothing."""

    def nothing(*rest: Any, **statics: Any) -> Entrant:
        return Entrant("a way", lambda: None, role="ours")

    monkeypatch.setattr(grids, "program", nothing)


@pytest.mark.identity
def test_without_pytorch_ours_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    idle(monkeypatch)
    monkeypatch.setattr(peers, "torch", lambda: None)
    *ours, last = pictures.measure(TINY)
    assert last.note == peers.ABSENT
    assert {row.what.partition(": ")[0] for row in ours} == {
        "one step of a CNN with batch norm, 2 seeds",
        "one epoch of a ResNet-8, 1 seed",
        "one epoch of a ResNet-8, 2 seeds",
    }


@pytest.mark.identity
def test_a_part_of_an_epoch_is_timed_and_scaled_to_every_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = TINY._replace(pictures=9, updates=9)
    assert pictures.resnet_training(whole).steps == 3
    assert pictures.resnet_training(whole._replace(updates=2)).steps == 2
    idle(monkeypatch)
    monkeypatch.setattr(peers, "torch", lambda: None)
    (row,) = pictures.epoch(whole._replace(updates=2), 1)
    assert row.note == "updates measured: 2 of 3, scaled to all"


@pytest.mark.stress
@pytest.mark.identity
def test_the_step_of_all_seeds_is_timed() -> None:
    rows = [row for row in pictures.steps(TINY) if row.role == "ours"]
    assert rows[0].ratio == 1.0 and rows[0].seconds is not None
    assert rows[0].what.endswith("1 x 2 runs at a time")


@pytest.mark.bench
@pytest.mark.oracle
def test_pytorch_trains_the_same_seeds_of_a_cnn() -> None:
    torch = importlib.import_module("torch")
    size = TINY._replace(steps=3)
    training = pictures.cnn_training(size)
    hypers = learn.grid(learn.Hyper, lr=torch_cnn.RATE, seed=range(2))
    first = partial(learn.first_state, training)
    before = jax.lax.map(first, hypers).params
    after = learn.sweep(training, hypers, lanes=1).params
    batch = batch_points.pictures(size.batch, size.side)
    images = torch_cnn.images(torch, batch, torch.channels_last)

    def networks(params: Any) -> list[Any]:
        made = []
        for seed in range(2):
            network = torch_pictures.cnn(torch, size.channels, size.side, 10)
            own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], params)
            torch_pictures.load(torch, network, own)
            made.append(network)
        return made

    alone, expected = networks(before), networks(after)
    for network in alone:
        torch_cnn.loop(torch, network, images, steps=3)()
    stacked = torch_pictures.stacked(torch, networks(before))
    vmapped = torch_cnn.vmapped(
        torch, stacked.network, stacked.weights, images, steps=3
    )()
    for seed, (one, ours) in enumerate(zip(alone, expected, strict=True)):
        theirs = dict(one.named_parameters())
        for name, value in ours.named_parameters():
            for found in (theirs[name], vmapped[name][seed]):
                np.testing.assert_allclose(
                    found.detach().numpy(), value.detach().numpy(), atol=1e-4
                )


@pytest.mark.bench
@pytest.mark.oracle
def test_pytorch_has_the_same_residual_network() -> None:
    torch = importlib.import_module("torch")
    batch = batch_points.pictures(TINY.batch, TINY.side)
    model = pictures.resnet(TINY)
    params, state = jax.jit(model.init)(jax.random.key(0), batch.inputs)
    loss = problem.training_loss(model, problem.cross_entropy)
    derive = jax.jit(jax.grad(loss, has_aux=True))
    gradient, _ = derive(params, state, batch, jax.random.key(1))
    network, ours = (
        torch_pictures.resnet(torch, TINY.depth, TINY.width, 10) for _ in range(2)
    )
    torch_pictures.load(torch, network, params)
    torch_pictures.load(torch, ours, gradient)
    images = torch_cnn.images(torch, batch, torch.channels_last)
    outputs = network(images.images)
    torch.nn.functional.cross_entropy(outputs, images.labels).backward()
    expected = dict(ours.named_parameters())
    for name, value in network.named_parameters():
        np.testing.assert_allclose(
            value.grad.numpy(), expected[name].detach().numpy(), atol=1e-4
        )


@pytest.mark.bench
@pytest.mark.identity
def test_pytorch_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("torch")
    idle(monkeypatch)
    rows = pictures.measure(TINY)
    names = [row.what.rpartition(": ")[2] for row in rows if "PyTorch" in row.what]
    assert len(names) == 2 + 1 + 1
    targets = [row.target for row in rows if row.target]
    even, nearly = pictures.EVEN, pictures.NEARLY
    assert targets == [even, even, nearly, even]
