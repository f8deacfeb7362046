"""Copies between host and device: the kernels `host_to_device` and `device_to_host`."""

from kernels.host_copy.copies import DeviceToHost, HostToDevice

__all__ = ["DeviceToHost", "HostToDevice"]
