from itertools import pairwise

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from pgnface.networks import build_encoder, load_encoder_weights
from pgnface.networks.encoders import ResNet


@pytest.mark.parametrize("name", ["small", "mobile", "mobile_deep", "resnet18", "resnet50"])
def test_pyramid(name):
    encoder = build_encoder(name).eval()
    features = encoder(torch.rand(2, 3, 64, 96))
    for k, (channels, feature_map) in enumerate(zip(encoder.channels, features.maps, strict=True)):
        assert feature_map.shape == (2, channels, 16 >> k, 24 >> k)
    assert features.pooled.shape == (2, encoder.channels[-1])
    torch.testing.assert_close(features.pooled, features.maps[-1].mean((2, 3)))


def test_small_is_small():
    assert 1e6 < sum(p.numel() for p in build_encoder("small").parameters()) < 2e6


def test_small_treats_each_image_by_itself():
    encoder, images = build_encoder("small"), torch.rand(3, 3, 64, 64)
    alone = encoder(images[1:2]).pooled
    torch.testing.assert_close(encoder(images).pooled[1:2], alone, atol=1e-4, rtol=1e-4)


def test_resnet50_has_the_names_and_sizes_of_torchvision():
    """Names from torchvision.models.resnet50, whose file holds 25,557,032 parameters."""
    state = build_encoder("resnet50").state_dict()
    for name, shape in {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_mean": (64,),
        "layer1.0.conv1.weight": (64, 64, 1, 1),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer1.0.downsample.1.running_var": (256,),
        "layer2.0.conv2.weight": (128, 128, 3, 3),
        "layer3.5.bn3.bias": (1024,),
        "layer4.2.conv3.weight": (2048, 512, 1, 1),
        "layer4.2.bn3.num_batches_tracked": (),
    }.items():
        assert state[name].shape == shape
    assert len(state) == 320 - 2
    parameters = sum(p.numel() for p in build_encoder("resnet50").parameters())
    assert parameters == 25_557_032 - 2048 * 1000 - 1000


def test_resnet18_has_the_size_of_torchvision():
    parameters = sum(p.numel() for p in build_encoder("resnet18").parameters())
    assert parameters == 11_689_512 - 512 * 1000 - 1000


def test_mobile_has_the_size_of_the_trunk_of_facemesh():
    """Counted from its layers: kernels, biases and a slope for each channel."""
    widths = (16, 32, 64, 128, 128)
    blocks = [(a, b) for a, b in pairwise(widths)]
    blocks += [(w, w) for w in widths for _ in range(2)]
    expected = 3 * 9 * 16 + 2 * 16 + sum(10 * a + (a + 2) * b for a, b in blocks)
    assert sum(p.numel() for p in build_encoder("mobile").parameters()) == expected == 115_824


def test_mobile_starts_as_its_shortcuts():
    """Whatever the depth, a fresh network passes on maxima of the stem's maps."""
    encoder, image = build_encoder("mobile"), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        stem = encoder.activation(encoder.stem(F.pad(image, (0, 1, 0, 1))))
        deepest = encoder(image).maps[-1]
    assert torch.equal(deepest[:, :16].relu(), F.max_pool2d(stem, 16).relu())
    assert not deepest[:, 16:].any()


def test_mobile_pads_on_the_right_and_below():
    """A strided convolution of TensorFlow puts its first window on the first pixels."""
    encoder = build_encoder("mobile")
    with torch.no_grad():
        encoder.stem.weight.zero_()
        encoder.stem.weight[0, :, 0, 0] = 1
        image = torch.rand(1, 3, 64, 64)
        stem = encoder.stem(F.pad(image, (0, 1, 0, 1)))
    torch.testing.assert_close(stem[:, 0], image[:, :, ::2, ::2].sum(1))


def test_the_deep_encoder_starts_from_the_weights_of_the_light_one(tmp_path):
    light, deep = build_encoder("mobile"), build_encoder("mobile_deep")
    before = {k: v.clone() for k, v in deep.state_dict().items() if k.startswith("deep.")}
    save_file(light.state_dict(), tmp_path / "trunk.safetensors")
    load_encoder_weights(deep, tmp_path / "trunk.safetensors")
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        maps, deepest = light(image).maps, deep(image).maps[-1]
    assert torch.equal(deepest[:, :128], maps[-1])
    assert all(torch.equal(deep.state_dict()[name], value) for name, value in before.items())
    with pytest.raises(ValueError, match="has unknown deep"):
        save_file(deep.state_dict(), tmp_path / "deep.safetensors")
        load_encoder_weights(light, tmp_path / "deep.safetensors")


def test_unknown_names():
    with pytest.raises(ValueError, match=r"name must be one of.*'vgg'"):
        build_encoder("vgg")
    with pytest.raises(ValueError, match=r"depth must be one of.*34"):
        ResNet(34)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_public_weights_load(tmp_path, suffix, prefix):
    source, target = build_encoder("resnet18"), build_encoder("resnet18")
    state = {prefix + k: v.contiguous() for k, v in source.state_dict().items()}
    state |= {f"{prefix}fc.weight": torch.zeros(10, 512), f"{prefix}fc.bias": torch.zeros(10)}
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    load_encoder_weights(target, path)
    for name, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[name])


def test_weights_without_batch_counters_load(tmp_path):
    encoder = build_encoder("resnet18")
    state = {k: v for k, v in encoder.state_dict().items() if "num_batches" not in k}
    torch.save(state, tmp_path / "old.pth")
    load_encoder_weights(encoder, tmp_path / "old.pth")


class _Trap:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"not a file of weights", "cannot read"),
        (b"", "cannot read"),
        ({"conv1.weight": torch.zeros(64, 3, 7, 7)}, "it lacks bn1.weight, .* and .* more"),
        ({"x": 3}, "must hold a state dict"),
        ({"x": _Trap()}, "cannot read"),
    ],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_bad_weights(tmp_path, content, message, suffix, capsys):
    path = tmp_path / f"weights{suffix}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif suffix == ".safetensors":
        pytest.skip("pickle only")
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        load_encoder_weights(build_encoder("resnet18"), path)
    assert "unpickled" not in capsys.readouterr().out


def test_weights_of_another_encoder(tmp_path):
    path = tmp_path / "weights.safetensors"
    state = build_encoder("resnet18").state_dict()
    save_file(state | {"extra": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="unknown extra"):
        load_encoder_weights(build_encoder("resnet18"), path)
    save_file(state | {"bn1.weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"misshapen bn1\.weight"):
        load_encoder_weights(build_encoder("resnet18"), path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_encoder_weights(build_encoder("resnet18"), tmp_path / "none.pth")
