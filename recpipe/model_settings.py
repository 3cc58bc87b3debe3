"""Settings of the two-tower and its training. Explained under each field."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from recpipe.source_settings import Section

ItemInput = Literal["id", "categories", "brand", "price", "text", "sentence", "image"]


class ModelSettings(Section):
    embedding_size: Annotated[int, Field(ge=4, le=1024)] = 128
    """Length of a user's and an item's vector, before the item bias is appended."""
    user_tower: Literal["attention", "gru", "lstm", "mlp"] = "attention"
    """What makes a vector of a history: causal self-attention, a recurrent network, or a mean weighted by recency."""
    blocks: Annotated[int, Field(ge=0, le=8)] = 1
    """Layers of the user tower. With 0, for `mlp` alone, a user is the weighted mean of the history as it is."""
    heads: Annotated[int, Field(ge=1, le=16)] = 1
    """Attention heads in a layer; divides `embedding_size`. Towers other than `attention` have one."""
    time_gaps: bool = True
    """Whether the user tower is told the days between a history's items."""
    event_types: bool = False
    """Whether the user tower is told what a user did with an item: viewed, bought, reviewed it."""
    user_attributes: bool = False
    """Whether the user tower is told age, gender and occupation, of users in table `users`. In training those of a
    share `dropout` of users are left out, so that it also does without."""
    item_inputs: Annotated[tuple[ItemInput, ...], Field(min_length=1)] = (
        *("id", "categories", "brand", "price", "text"),
    )
    """What the item tower reads, as JSON: `text` is words of title, categories and description, each with a vector that
    is learned; `sentence` is the title as a frozen sentence encoder reads it, words included that no item of the
    training has. Without `id`, items are known by their content alone."""
    text_encoder: Literal["mean", "cnn", "transformer"] = "mean"
    """What makes a vector of an item's words. The texts of all items are read in every step of a training, which only
    `mean` does quickly for tens of thousands."""
    image_size: Annotated[int, Field(ge=8, le=256)] = 32
    """Pixels a side to which pictures are brought for the item tower's `image`. The pictures of all items are read in
    every step of a training, unless `graph` is off and `loss` draws negatives."""
    fusion: Literal["sum", "concat", "gated", "attention"] = "sum"
    """How the item tower makes one vector of several."""
    id_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of items whose id is left out of a training step, so that their content learns to stand for them."""
    graph: bool = True
    """Whether an item's vector takes in those of the items that stand near it in training histories."""
    edge_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the graph's edges that are left out of a training step."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.35
    """Share of activations dropped in training."""
    item_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of a history's items dropped whole in training."""
    epochs: Annotated[int, Field(ge=1, le=1000)] = 20
    """Most epochs; early stopping may choose fewer."""
    patience: Annotated[int, Field(ge=1, le=1000)] = 3
    """Epochs without a better validation NDCG@10 before training stops."""
    warm_start: bool = False
    """Whether a training starts from the champion of the last day that it learns from instead of from random weights;
    from none that knew more. An item new since then starts with what its content says. What a champion learned of a
    user who was erased since is handed on: train one anchor without, to leave it behind."""
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Users in a batch. Few, so that a small shop gets enough steps; raise it with the shop."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 3e-3
    """Peak learning rate of AdamW, after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Decoupled weight decay of AdamW."""
    id_weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.3
    """The same of the ids' vectors, which would else learn by heart what the items' content could say."""
    warmup_steps: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Steps in which the learning rate rises from 0; at most a tenth of all steps."""
    loss: Literal["softmax", "sampled_softmax", "bpr", "bce"] = "softmax"
    """What training minimises: an exact softmax over all items, or a loss over `negatives` drawn for each batch, for
    catalogues too large for the first (over 100,000 items) and for comparison."""
    sampler: Literal["uniform", "in_batch", "mixed"] = "mixed"
    """Where negatives are drawn from: all items alike, the batch's targets (which never push down an item that never
    follows another), or half and half."""
    negatives: Annotated[int, Field(ge=1, le=1_000_000)] = 2048
    """Negatives drawn for each batch."""
    logq: Literal["counts", "streaming", "none"] = "counts"
    """How an item's share among targets is known, by which `sampled_softmax` corrects its score as a negative: counted,
    or estimated on the way; none: not corrected."""
    hardest: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Negatives that count for a prediction: of the different items drawn, those of the greatest scores; 0: all.
    `sampled_softmax` needs `logq` none then."""
    half_life_days: Annotated[float | None, Field(gt=0, le=100_000)] = None
    """Days in which the weight of an interaction halves, counted back from the newest; unset: all weigh the same."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Of products in training: on a GPU of all, on a CPU of those of users and items with `loss` softmax; else they are
    in float32, as sums always are. bfloat16 takes half the time where the processor knows it."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """CPU threads of PyTorch; pinned, since another number may round sums differently. More help a large shop on idle
    processors; beside a busy one they wait for each other, and two were seen to take eight times as long as one."""

    ranks: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that train one model together, each on a part of every batch: as many as there are GPUs. They are
    started by torchrun on this machine. At most `batch_size`."""

    @field_validator("*")
    @classmethod
    def _choices_fit_together(cls, value: Any, info: ValidationInfo) -> Any:
        """At the field, beside those above it, so that the message names it."""
        defaults = {name: field.default for name, field in cls.model_fields.items()}
        model = SimpleNamespace(**defaults | info.data | {info.field_name: value})
        for name, needed, there in _NEEDS:
            if name == info.field_name and value != defaults[name] and not there(model):
                raise ValueError(f"any but {defaults[name]} needs {needed}")
        return value

    @field_validator("item_inputs")
    @classmethod
    def _inputs_differ(cls, inputs: tuple[ItemInput, ...]) -> tuple[ItemInput, ...]:
        if len(set(inputs)) < len(inputs):
            raise ValueError("expected each input once")
        return inputs


_DRAWN = "a loss over drawn negatives (sampled_softmax, bpr or bce)"
_NEEDS: tuple[tuple[str, str, Callable[[SimpleNamespace], bool]], ...] = (
    (
        "blocks",
        "to be 1 or more with a user_tower other than mlp",
        lambda model: model.blocks > 0 or model.user_tower == "mlp",
    ),
    ("heads", "user_tower attention", lambda model: model.user_tower == "attention"),
    ("heads", "an embedding_size that it divides", lambda model: model.embedding_size % model.heads == 0),
    ("text_encoder", "text in item_inputs", lambda model: "text" in model.item_inputs),
    (
        *("text_encoder", "an even embedding_size with transformer"),
        lambda model: model.text_encoder != "transformer" or model.embedding_size % 2 == 0,
    ),
    (
        "fusion",
        "two of item_inputs or more with attention",
        lambda model: len(model.item_inputs) > 1 or model.fusion != "attention",
    ),
    ("image_size", "image in item_inputs", lambda model: "image" in model.item_inputs),
    ("id_dropout", "id and another of item_inputs", lambda model: {"id"} < set(model.item_inputs)),
    ("edge_dropout", "graph", lambda model: model.graph),
    ("id_weight_decay", "id in item_inputs", lambda model: "id" in model.item_inputs),
    ("sampler", _DRAWN, lambda model: model.loss != "softmax"),
    ("negatives", _DRAWN, lambda model: model.loss != "softmax"),
    ("negatives", "to be 2 or more with sampler mixed", lambda model: model.sampler != "mixed" or model.negatives > 1),
    ("logq", "loss sampled_softmax", lambda model: model.loss == "sampled_softmax"),
    ("hardest", _DRAWN, lambda model: model.loss != "softmax"),
    ("hardest", "as many negatives or more", lambda model: model.hardest <= model.negatives),
    ("ranks", "as large a batch_size or a larger one", lambda model: model.ranks <= model.batch_size),
    (
        *("hardest", "logq none with loss sampled_softmax, since it goes by scores alone"),
        lambda model: model.loss != "sampled_softmax" or model.logq == "none",
    ),
)
"""What a setting needs, of those above it, to be other than its default: elsewhere it would change nothing."""
