"""What another package can add to suanli-bench: a kernel of its own, and an implementation of a kernel that exists.

All that it imports of bench is the contract and what precisions mean. torch is imported inside the functions: the
program lists kernels and plans runs without it.
"""

from __future__ import annotations

from bench.kernel import Field, Kernel, Role, Work, implementation
from bench.precision import PRECISIONS


def memory_reason(case, precision, device):
    """Why `written-out` can't take a case, in a sentence with its numbers; "" when it can."""
    size = case["rows"] * case["columns"] * PRECISIONS[precision].bits // 8
    needed = 4 * size  # x and three temporaries as large as x
    if device.memory_bytes is None or needed <= device.memory_bytes:
        return ""
    return f"needs {needed / 2**30:.1f} GiB for its temporaries; the device has {device.memory_bytes / 2**30:.1f} GiB"


class Softmax(Kernel):
    """softmax over each row of a matrix."""

    name = "softmax"
    summary = "softmax over the rows of a matrix"
    # It moves bytes rather than multiplying: its rate is bytes per second, rated by the device's memory bandwidth.
    role = Role.BANDWIDTH
    fields = (Field("rows", "independent rows"), Field("columns", "elements that each row sums over"))
    precisions = ("fp64", "fp32", "bf16", "fp16")

    def cases(self, suite, device):
        # Larger than the caches of the device at hand; `columns` as in attention (4096) and in a vocabulary (131072).
        rows = 2048 if device.type == "cpu" else 32768
        columns = {"quick": [4096], "standard": [1024, 4096], "full": [1024, 4096, 131072]}
        return [{"rows": rows, "columns": n} for n in columns[suite]]

    def search_spaces(self, device):
        # Beyond the caches: within them a search for the most bytes per second would find the cache.
        rows = (1024, 2048, 4096) if device.type == "cpu" else (8192, 16384, 32768)
        return {"rows": {"rows": rows, "columns": tuple(range(1024, 8193, 128))}}

    def work(self, case, precision):
        # Counted: one maximum, subtraction, exponential, addition and division for each element. x is read once and
        # the output written once, whatever an implementation really reads and writes.
        elements = case["rows"] * case["columns"]
        size = elements * PRECISIONS[precision].bits // 8
        return Work(operations=5 * elements, bytes_read=size, bytes_written=size)

    def inputs(self, case, precision, device, data, generator):
        import torch

        # Drawn on the CPU and then moved, so that one seed gives the same values on every device.
        shape = (case["rows"], case["columns"])
        if data == "normal":
            x = torch.randn(shape, generator=generator)
        elif data == "uniform":
            x = torch.rand(shape, generator=generator)
        else:
            x = torch.full(shape, 1.0 if data == "ones" else 0.0)
        return {"x": x.to(device.torch_device, getattr(torch, PRECISIONS[precision].torch_dtype))}

    def reference(self, inputs, rows=None):
        # float64 on the CPU, of the values that the implementations get; `rows` are those that the check asks for.
        x = inputs["x"] if rows is None else inputs["x"][rows.to(inputs["x"].device)]
        return x.cpu().double().softmax(-1)

    def output_rows(self, case):
        return case["rows"]

    def reduction_length(self, case):
        return case["columns"]  # the terms of each row's sum: the tolerance grows with the root of it

    @implementation("torch", precisions=("fp64", "fp32", "bf16", "fp16"))
    def library(self, inputs):
        """torch.softmax."""
        x = inputs["x"]  # all set-up comes before the return …
        return lambda: x.softmax(-1)  # … and only this call is timed

    @implementation("written-out", precisions=("fp64", "fp32"), supports=memory_reason)
    def written_out(self, inputs):
        """exp(x − max) over its sum, one operation of torch after another."""
        x = inputs["x"]

        def call():
            weights = (x - x.amax(-1, keepdim=True)).exp()
            return weights / weights.sum(-1, keepdim=True)

        return call


@implementation("einsum", kernel="gemm", precisions=("fp64", "fp32"))
def einsum(kernel, inputs):
    """torch.einsum, for the built-in kernel `gemm`, whose cases may transpose and batch the operands."""
    import torch

    a, b, case = inputs["a"], inputs["b"], inputs.case
    left, right = "km" if case["trans_a"] else "mk", "nk" if case["trans_b"] else "kn"
    return lambda: torch.einsum(f"...{left},...{right}->...mn", a, b)
