"""Collectives of torch.distributed, each a kernel of its own, and copies between a device and its host."""

from kernels.collective.operations import AllGather, AllReduce, AllToAll, Broadcast, ReduceScatter, SendRecv

__all__ = ["AllGather", "AllReduce", "AllToAll", "Broadcast", "ReduceScatter", "SendRecv"]
