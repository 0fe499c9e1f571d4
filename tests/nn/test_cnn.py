"""The convolutional network: sizes, initialisation, dropout, and its sums by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from gridrun.nn.cnn import CNN, flat_features, paddings
from gridrun.training.seeding import generator


def digits(seed: int = 0, **options: object) -> CNN:
    return CNN((1, 8, 8), 10, (16, 32), 3, 1, (128, 64), generator=generator(seed), **options)


def paper() -> CNN:
    return CNN((1, 28, 28), 10, (64, 64), 4, ((2, 1), (0, 0)), (256, 64))


def test_parameters_of_the_papers_network_by_hand() -> None:
    convolutions = 64 * (1 * 16 + 1) + 64 * (64 * 16 + 1)
    dense = 1600 * 256 + 256 + 256 * 64 + 64 + 64 * 10 + 10
    assert sum(p.numel() for p in paper().parameters()) == convolutions + dense == 493_642


def test_logits_of_one_image_by_plain_sums() -> None:
    model = CNN((1, 5, 5), 2, (1,), 4, ((2, 1),), (), generator=generator(1))
    image = torch.rand(5, 5, generator=generator(2))
    kernel, bias = model.convolutions[0].weight[0, 0], model.convolutions[0].bias[0]
    padded = torch.zeros(8, 8)
    padded[2:7, 2:7] = image  # two before, one after
    conv = torch.stack([(padded[i : i + 4, j : j + 4] * kernel).sum() for i in range(5) for j in range(5)])
    activation = (conv + bias).clamp(min=0).view(5, 5)
    pooled = torch.stack([activation[i : i + 2, j : j + 2].max() for i in (0, 2) for j in (0, 2)])
    by_hand = model.dense[0].weight @ pooled + model.dense[0].bias
    assert torch.allclose(model(image.view(1, 1, 5, 5))[0], by_hand, atol=1e-6)


def test_initialisation_is_by_its_generator_and_leaves_the_global_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, second, other = digits(0), digits(0), digits(1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_initial_weights_fill_pytorchs_default_range() -> None:
    for layer in [*paper().convolutions, *paper().dense]:
        bound = layer.weight[0].numel() ** -0.5
        assert layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_a_shared_mask_is_one_for_the_batch_and_rescales_nothing() -> None:
    masks = digits().dropout_masks(0.3, 50, generator(0), "shared")
    assert [tuple(m.shape) for m in masks] == [(1, 128), (1, 128), (1, 64)]
    assert set(torch.cat(masks, 1).flatten().tolist()) == {0.0, 1.0}
    assert torch.cat(masks, 1).mean().item() == pytest.approx(0.7, abs=0.1)


def test_a_standard_mask_keeps_the_mean_as_torch_does() -> None:
    masks = digits().dropout_masks(0.3, 500, generator(0), "standard")
    theirs = F.dropout(torch.ones(500, 128), 0.3)
    assert masks[0].shape == theirs.shape
    assert masks[0].max() == theirs.max()
    assert masks[0].mean().item() == pytest.approx(1, abs=0.02)


def test_masked_features_do_not_matter() -> None:
    model, images = digits(), torch.rand(4, 1, 8, 8, generator=generator(3))
    masks = model.dropout_masks(0.5, 4, generator(4))
    masked = model(images, masks)
    assert not torch.allclose(masked, model(images))
    with torch.no_grad():  # weights that only see dropped features may be anything
        for layer, mask in zip(model.dense, masks, strict=True):
            layer.weight[:, mask[0] == 0] += 100
    assert torch.allclose(masked, model(images, masks), atol=1e-5)


def test_no_dropout_draws_nothing() -> None:
    stream = generator(0)
    before = stream.get_state()
    assert digits().dropout_masks(0.0, 4, stream) is None
    assert torch.equal(before, stream.get_state())


@pytest.mark.parametrize(("prob", "kind"), [(1.0, "shared"), (-0.1, "shared"), (0.3, "bernouli")])
def test_an_impossible_dropout_is_refused(prob: float, kind: str) -> None:
    with pytest.raises(ValueError, match="dropout"):
        digits().dropout_masks(prob, 4, generator(0), kind)


def test_batch_statistics_hide_a_change_of_scale() -> None:
    images = torch.rand(20, 1, 8, 8, generator=generator(5))
    standardising, plain = digits(batch_standardize=True), digits()
    assert torch.allclose(standardising(images), standardising(3 * images + 1), atol=1e-3)
    assert not torch.allclose(plain(images), plain(3 * images + 1), atol=1e-3)


def test_an_image_too_small_for_its_layers_names_the_layer() -> None:
    with pytest.raises(ValueError, match=r"\(1, 8, 8\) are used up at convolution 1"):
        flat_features((1, 8, 8), (64, 64), 4, [(2, 1), (0, 0)])


def test_one_padding_entry_a_convolution() -> None:
    with pytest.raises(ValueError, match="for 3 convolutions"):
        paddings([1, 1], 3)
