"""Small modules, one of each family of networks, with what they are called with."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

Made = tuple[nn.Module, torch.Tensor]
FAMILIES: dict[str, Callable[[], Made]] = {}


def family(make: Callable[[], Made]) -> Callable[[], Made]:
    FAMILIES[make.__name__] = make
    return make


class Residual(nn.Module):
    """Adds what a module makes to its input."""

    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run forward."""
        return x + self.inner(x)


@family
def mobilenet() -> Made:
    squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1))

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.squeeze = squeeze

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * functional.hardsigmoid(self.squeeze(x), inplace=True)

    block = Residual(
        nn.Conv2d(8, 16, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.Hardswish(inplace=True),
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
        Scaled(),
        nn.Conv2d(16, 8, 1, bias=False),
    )
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), block, *head)
    return module, torch.randn(2, 3, 9, 9).to(memory_format=torch.channels_last)


@family
def convnext() -> Made:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dwconv = nn.Conv2d(8, 8, 7, padding=3, groups=8)
            self.norm = nn.LayerNorm(8)
            self.pwconv1, self.pwconv2 = nn.Linear(8, 32), nn.Linear(32, 8)
            self.gamma = nn.Parameter(torch.ones(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
            y = self.gamma * self.pwconv2(functional.gelu(self.pwconv1(y)))
            return x + y.permute(0, 3, 1, 2)

    return nn.Sequential(nn.Conv2d(3, 8, 4, 4), Block(), Block()), torch.randn(2, 3, 16, 16)


@family
def vit() -> Made:
    class ViT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 16, 4, 4)
            self.cls_token = nn.Parameter(torch.zeros(1, 1, 16))
            self.pos_embed = nn.Parameter(torch.zeros(1, 5, 16))
            layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, norm_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(16, 7)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.patch(x).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1) + self.pos_embed
            return self.head(self.encoder(tokens)[:, 0])

    return ViT(), torch.randn(2, 3, 8, 8)


@family
def swin() -> Made:
    class Window(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.proj = nn.Linear(16, 48), nn.Linear(16, 16)
            self.relative_position_bias_table = nn.Parameter(torch.randn(9, 4))
            self.register_buffer("relative_position_index", torch.arange(16).reshape(4, 4) % 9)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            samples, height, width, _ = x.shape
            x = torch.roll(x, (-1, -1), (1, 2)).view(samples, height // 2, 2, width // 2, 2, 16)
            windows = x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 16)
            q, k, v = self.qkv(windows).reshape(-1, 4, 3, 4, 4).permute(2, 0, 3, 1, 4)
            bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
            scores = (q @ k.transpose(-1, -2) / 2 + bias).softmax(-1)
            found = self.proj((scores @ v).transpose(1, 2).reshape(-1, 4, 16))
            return found.view(samples, height, width, 16)

    return nn.Sequential(Window(), nn.LayerNorm(16), nn.Linear(16, 8)), torch.randn(3, 4, 4, 16)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, *, causal: bool) -> torch.Tensor:
    """Return attention of tokens [samples, tokens, channels]; keys may have fewer heads."""
    size = q.shape[-1] // heads
    q, k, v = (one.unflatten(-1, (-1, size)).transpose(1, 2) for one in (q, k, v))
    k, v = (one.repeat_interleave(heads // k.shape[1], 1) for one in (k, v))
    found = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return found.transpose(1, 2).flatten(2)


@family
def bert() -> Made:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
            self.output = nn.Linear(16, 16)
            self.intermediate, self.down = nn.Linear(16, 32), nn.Linear(32, 16)
            self.norm = nn.LayerNorm(16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = attend(self.query(x), self.key(x), self.value(x), 4, causal=False)
            x = self.norm(x + self.output(found))
            return x + self.down(functional.gelu(self.intermediate(x)))

    class Bert(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.word_embeddings, self.position_embeddings = nn.Embedding(30, 16), nn.Embedding(6, 16)
            self.layer = nn.ModuleList([Layer(), Layer()])
            self.pooler = nn.Linear(16, 16)

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            x = self.word_embeddings(words) + self.position_embeddings(torch.arange(words.shape[1]))
            for layer in self.layer:
                x = layer(x)
            return torch.tanh(self.pooler(x[:, 0]))

    return Bert(), torch.randint(30, (2, 6))


class Conv1D(nn.Module):
    """A fully connected layer whose weights are kept inputs first, as GPT-2 does."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run forward."""
        return torch.addmm(self.bias, x.flatten(0, 1), self.weight).unflatten(0, x.shape[:2])


@family
def gpt2() -> Made:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ln_1 = nn.LayerNorm(16)
            self.c_attn, self.c_proj = Conv1D(16, 48), Conv1D(16, 16)
            self.c_fc, self.c_down = Conv1D(16, 32), Conv1D(32, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.c_proj(attend(*self.c_attn(self.ln_1(x)).chunk(3, -1), 4, causal=True))
            return x + self.c_down(functional.gelu(self.c_fc(x), approximate="tanh"))

    class Gpt2(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte, self.wpe = nn.Embedding(30, 16), nn.Embedding(6, 16)
            self.h = nn.Sequential(Block(), Block())
            self.lm_head = nn.Linear(16, 30, bias=False)
            self.lm_head.weight = self.wte.weight

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            places = torch.arange(words.shape[1], device=words.device)
            return self.lm_head(self.h(self.wte(words) + self.wpe(places)))

    return Gpt2(), torch.randint(30, (2, 6))


@family
def llama() -> Made:
    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q_proj, self.o_proj = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
            self.k_proj, self.v_proj = nn.Linear(16, 8, bias=False), nn.Linear(16, 8, bias=False)
            self.gate_proj, self.up_proj = nn.Linear(16, 24, bias=False), nn.Linear(16, 24, bias=False)
            self.down_proj = nn.Linear(24, 16, bias=False)
            self.norm = Norm()
            self.register_buffer("inv_freq", 1 / 10 ** torch.arange(2.0), persistent=False)

        def rotate(self, x: torch.Tensor) -> torch.Tensor:
            angles = torch.outer(torch.arange(x.shape[1]), self.inv_freq).repeat(1, 2)
            heads = x.unflatten(-1, (-1, 4))
            turned = torch.cat((-heads[..., 2:], heads[..., :2]), -1)
            return (heads * angles.cos().unsqueeze(1) + turned * angles.sin().unsqueeze(1)).flatten(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.norm(x)
            found = attend(
                self.rotate(self.q_proj(y)), self.rotate(self.k_proj(y)), self.v_proj(y), 4, causal=True
            )
            y = x + self.o_proj(found)
            return y + self.down_proj(functional.silu(self.gate_proj(y)) * self.up_proj(y))

    return nn.Sequential(nn.Embedding(30, 16), Layer(), Layer(), nn.Linear(16, 30)), torch.randint(30, (2, 6))


@family
def decoder_of_queries() -> Made:
    """Return a decoder of learned queries: what is made of them is activations, too."""

    class Queries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query_embed = nn.Embedding(6, 16)
            self.decoder = nn.TransformerDecoderLayer(16, 4, 24, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            queries = self.query_embed.weight.unsqueeze(0).repeat(len(x), 1, 1)
            return self.decoder(torch.zeros_like(queries) + queries, x)

    return Queries(), torch.randn(2, 5, 16)


@family
def recurrent() -> Made:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(30, 8)
            self.lstm = nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True)
            self.head = nn.Linear(12, 5)

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            return self.head(self.lstm(self.embedding(words))[0])

    return Tagger(), torch.randint(30, (2, 7))


@family
def unet() -> Made:
    class Unet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(3, 8, 3, 2, 1)
            self.up = nn.ConvTranspose2d(8, 4, 4, 2, 1)
            self.odd = nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2, dilation=2)
            self.last = nn.Conv2d(6, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(functional.silu(self.odd(self.up(functional.mish(self.down(x))))))

    return Unet(), torch.randn(2, 3, 8, 8)


@family
def video() -> Made:
    layers = (nn.Conv3d(3, 8, 3, (1, 2, 2), 1), nn.ReLU(), nn.ConvTranspose3d(8, 4, 2, 2), nn.AvgPool3d(2))
    return nn.Sequential(*layers), torch.randn(2, 3, 4, 6, 6)


@family
def sound() -> Made:
    layers = (nn.Conv1d(1, 8, 5, 2), nn.GELU(), nn.Conv1d(8, 8, 3, groups=2), nn.ConvTranspose1d(8, 2, 4, 2))
    return nn.Sequential(*layers), torch.randn(2, 1, 33)


@family
def experts() -> Made:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Linear(8, 3)
            self.up = nn.Parameter(torch.randn(3, 8, 12) / math.sqrt(8))
            self.down = nn.Parameter(torch.randn(3, 8, 12))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            each = x.flatten(0, 1).expand(3, -1, -1)
            found = torch.bmm(torch.bmm(each, self.up).relu(), self.down.transpose(1, 2))
            share = self.gate(x).softmax(-1).flatten(0, 1).t().unsqueeze(-1)
            return (share * found).sum(0).view(x.shape)

    return Experts(), torch.randn(2, 4, 8)
