"""What becomes of an exception that a kernel raises: out of memory, unsupported, or failed with its type."""

from __future__ import annotations

import pytest
import torch

from bench.devices import Backend, backend
from bench.runner.row import failure
from tests.factories import device


@pytest.fixture(scope="module")
def cpu() -> Backend:
    return backend(device())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotImplementedError("there is no kernel for that"), "unsupported"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasLtMatmul(…)`"), "unsupported"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear"), "unsupported"),
        (RuntimeError("CUDA error: rocblas_status_not_implemented when calling"), "unsupported"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling"), "failed"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "out_of_memory"),
        (torch.OutOfMemoryError("of 1 GiB"), "out_of_memory"),
        (MemoryError("too much"), "out_of_memory"),
        (ValueError("m is odd"), "failed"),
    ],
)
def test_an_exception_is_a_status_with_its_words(cpu: Backend, error: Exception, status: str) -> None:
    found, reason = failure(cpu, error)
    assert found == status
    assert str(error) in reason
    assert found != "failed" or reason.startswith(f"{type(error).__name__}: ")


def test_one_without_words_says_so_and_a_long_one_is_cut(cpu: Backend) -> None:
    assert failure(cpu, ValueError()) == ("failed", "ValueError: no message")
    assert len(failure(cpu, ValueError("x" * 10_000))[1]) < 400
