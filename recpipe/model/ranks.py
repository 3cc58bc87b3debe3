"""Several processes that train one model together (ranks): each takes its part of every batch, so all take as many
steps, and the gradients are summed. torchrun starts them; without it there is one.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

LONGEST_WAIT = timedelta(days=1)
"""For another rank. The first validates alone, over all users and items, while the others wait for its figure."""

Found = tuple[Tensor, int]
"""A mean loss, and of how many predictions."""


@dataclass(frozen=True)
class Ranks:
    rank: int
    count: int
    device: torch.device

    @classmethod
    def here(cls) -> Self:
        """This process, as torchrun's variables say; on a GPU of its own where there are any."""
        rank, count, local = (int(os.environ.get(name, value)) for name, value in _ALONE.items())
        device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
        if count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
        return cls(rank, count, device)

    def say(self, text: str) -> None:
        """Print it once."""
        if self.rank == 0:
            print(text, flush=True)

    def mine(self, rows: NDArray[np.integer]) -> NDArray[np.integer]:
        """This process's part of a batch; may be empty at the end of an epoch."""
        return rows[self.rank :: self.count]

    def of_first(self, tensor: Tensor) -> Tensor:
        """The first rank's."""
        if self.count == 1:
            return tensor
        shared = tensor.to(self.device)
        dist.broadcast(shared, src=0)
        return shared.to(tensor.device)

    def number_of_first(self, number: float) -> float:
        return self.of_first(torch.tensor(number, dtype=torch.float64)).item()

    def backward(self, found: Found | None, parameters: Sequence[nn.Parameter]) -> Found | None:
        """Leave in the parameters the gradient of the mean loss over all ranks' predictions, and give that mean.

        Args:
            found: of this process's part; None if it predicts nothing. All ranks take part in any case.
        """
        if self.count == 1:
            if found is not None:
                found[0].backward()
            return found
        loss, count = found or (torch.zeros((), device=self.device), 0)
        total = loss * count
        if count:
            total.backward()
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        sums = torch.cat([*(one.flatten() for one in gradients), total.detach()[None], total.new_tensor([count])])
        dist.all_reduce(sums)
        predictions = int(sums[-1].item())
        if predictions == 0:
            return None
        sums /= predictions
        for parameter, part in zip(parameters, sums[:-2].split([one.numel() for one in parameters]), strict=True):
            parameter.grad = part.view_as(parameter)
        return sums[-2], predictions


_ALONE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
