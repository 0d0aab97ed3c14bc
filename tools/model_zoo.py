"""The models that check_models.py builds: random weights, small inputs, few layers where a family repeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

Built = tuple[Any, tuple[Any, ...], dict[str, Any]]
"""A module, and the arguments and keywords of a call."""


@dataclass(frozen=True)
class Model:
    """A model to check.

    Attributes
    ----------
    name : str
    package : str
        Which has it.
    build : callable
    computes : bool
        Whether it must run with values: its own code looks at them.
    """

    name: str
    package: str
    build: Callable[[], Built]
    computes: bool = False


def _torchvision(name: str, shape: tuple[int, ...], **options: Any) -> Built:
    import torch
    from torchvision.models import get_model

    return get_model(name, weights=None, **options), (torch.zeros(shape),), {}


def _timm(name: str, size: int) -> Built:
    import timm
    import torch

    samples = 1 if name in _ONCE else 2
    return timm.create_model(name, pretrained=False), (torch.zeros(samples, 3, size, size),), {}


def _transformers(kind: str, settings: dict[str, Any], inputs: dict[str, tuple[int, ...]]) -> Built:
    import torch
    import transformers

    made = getattr(transformers, kind)
    config = made.config_class(**settings)
    config.use_cache = False
    module = made(config)
    given = {
        name: torch.zeros(shape, dtype=torch.long if name.endswith("ids") else torch.float32)
        for name, shape in inputs.items()
    }
    return module, (), given


_ONCE = frozenset({"swin_v2_t", "vit_relpos_small_patch16_224", "xcit_nano_12_p16_224"})
"""What these make of positions alone runs once for all samples: it is a layer for one sample only."""
_IMAGES = """
alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet1_0
mobilenet_v2 mobilenet_v3_large regnet_x_400mf regnet_y_400mf resnet18 resnet50 resnext50_32x4d
shufflenet_v2_x1_0 squeezenet1_1 swin_t swin_v2_t vgg11 vit_b_16 wide_resnet50_2
"""
_SEGMENTATION = "deeplabv3_resnet50 fcn_resnet50 lraspp_mobilenet_v3_large"
_VIDEO = "mc3_18 mvit_v2_s r2plus1d_18 r3d_18 s3d swin3d_t"
_TIMM = {
    "beit_base_patch16_224": 224,
    "cait_xxs24_224": 224,
    "coat_tiny": 224,
    "coatnet_0_rw_224": 224,
    "convmixer_768_32": 224,
    "convnextv2_atto": 224,
    "crossvit_tiny_240": 240,
    "cspresnet50": 224,
    "deit3_small_patch16_224": 224,
    "dla34": 224,
    "dpn68": 224,
    "edgenext_xx_small": 224,
    "efficientformer_l1": 224,
    "eva02_tiny_patch14_224": 224,
    "fastvit_t8": 256,
    "focalnet_tiny_srf": 224,
    "gcvit_xxtiny": 224,
    "ghostnet_100": 224,
    "hrnet_w18_small": 224,
    "levit_128s": 224,
    "mixer_s16_224": 224,
    "mobilenetv4_conv_small": 224,
    "mobileone_s0": 224,
    "mobilevit_xxs": 256,
    "mobilevitv2_050": 256,
    "nf_regnet_b0": 224,
    "nfnet_f0": 224,
    "nest_tiny": 224,
    "pit_ti_224": 224,
    "poolformer_s12": 224,
    "pvt_v2_b0": 224,
    "repvgg_a0": 224,
    "res2net50_26w_4s": 224,
    "resnest14d": 224,
    "resnetv2_50x1_bit": 224,
    "seresnet50": 224,
    "sequencer2d_s": 224,
    "tf_efficientnet_b0": 224,
    "twins_pcpvt_small": 224,
    "vit_relpos_small_patch16_224": 224,
    "volo_d1_224": 224,
    "xcit_nano_12_p16_224": 224,
}

_SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
_GROUPED = {**_SMALL, "num_key_value_heads": 2, "vocab_size": 100}
_WORDS: dict[str, tuple[int, ...]] = {"input_ids": (2, 12)}
_PICTURE: dict[str, tuple[int, ...]] = {"pixel_values": (2, 3, 64, 64)}
_TRANSFORMERS: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "AlbertModel": ({**_SMALL, "embedding_size": 32}, _WORDS),
    "BartModel": (
        {"d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "vocab_size": 100},
        {**_WORDS, "decoder_input_ids": (2, 7)},
    ),
    "BertForSequenceClassification": (_SMALL, _WORDS),
    "BloomForCausalLM": ({"hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": 100}, _WORDS),
    "CLIPVisionModel": ({**_SMALL, "image_size": 64}, _PICTURE),
    "ConvNextModel": ({}, _PICTURE),
    "DebertaV2Model": (_SMALL, _WORDS),
    "Dinov2Model": ({**_SMALL, "image_size": 64, "patch_size": 16}, _PICTURE),
    "DistilBertModel": ({"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 96}, _WORDS),
    "ElectraModel": (_SMALL, _WORDS),
    "FalconForCausalLM": ({**_SMALL, "vocab_size": 100}, _WORDS),
    "GemmaForCausalLM": ({**_GROUPED, "head_dim": 16}, _WORDS),
    "GPT2LMHeadModel": ({"n_embd": 64, "n_layer": 2, "n_head": 4}, _WORDS),
    "GPTNeoXForCausalLM": ({**_SMALL, "vocab_size": 100}, _WORDS),
    "LlamaForCausalLM": (_GROUPED, _WORDS),
    "MistralForCausalLM": (_GROUPED, _WORDS),
    "MobileBertModel": ({"num_hidden_layers": 2}, _WORDS),
    "OPTForCausalLM": ({**_SMALL, "ffn_dim": 96, "vocab_size": 100, "word_embed_proj_dim": 64}, _WORDS),
    "Phi3ForCausalLM": ({**_GROUPED, "pad_token_id": 0}, _WORDS),
    "Qwen2ForCausalLM": (_GROUPED, _WORDS),
    "RobertaModel": (_SMALL, _WORDS),
    "SegformerForSemanticSegmentation": ({}, _PICTURE),
    "SwinModel": (
        {"image_size": 64, "window_size": 4, "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4]},
        _PICTURE,
    ),
    "T5Model": (
        {"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4},
        {**_WORDS, "decoder_input_ids": (2, 7)},
    ),
    "ViTModel": ({**_SMALL, "image_size": 64}, _PICTURE),
    "Wav2Vec2Model": (_SMALL, {"input_values": (2, 4000)}),
    "WhisperModel": (
        {"d_model": 96, "encoder_layers": 2, "decoder_layers": 2, "vocab_size": 100, "pad_token_id": 0},
        {"input_features": (2, 80, 3000), "decoder_input_ids": (2, 5)},
    ),
    "YolosModel": ({**_SMALL, "image_size": [64, 64]}, _PICTURE),
}


def _all() -> list[Model]:
    found = []
    for name in _IMAGES.split():
        size = 299 if name == "inception_v3" else 224
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        samples = 1 if name in _ONCE else 2
        build = partial(_torchvision, name, (samples, 3, size, size), **extra)
        found.append(Model(name, "torchvision", build, computes=name.startswith("regnet")))
    for name in _SEGMENTATION.split():
        build = partial(_torchvision, name, (2, 3, 128, 128), weights_backbone=None)
        found.append(Model(name, "torchvision", build))
    for name in _VIDEO.split():
        size = 224 if name in ("mvit_v2_s", "s3d", "swin3d_t") else 112
        found.append(Model(name, "torchvision", partial(_torchvision, name, (2, 3, 16, size, size))))
    found += [Model(name, "timm", partial(_timm, name, size)) for name, size in _TIMM.items()]
    found += [
        Model(name, "transformers", partial(_transformers, name, *given), computes=True)
        for name, given in _TRANSFORMERS.items()
    ]
    return found


MODELS = tuple(_all())
