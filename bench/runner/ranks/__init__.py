"""A run by several processes at once, one a device, on one machine or many, started by torchrun or srun.

Each rank measures as a run of its own does, into its own run file; one of them, the leader, keeps the others in step,
notices who is gone and writes the one run file of them all. They talk through torch's TCPStore; no process group.
"""
