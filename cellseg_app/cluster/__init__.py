"""The blocks of a run on Dask: processes of this machine, of a lab's, or of a batch system.

An optional extra (`pip install cellseg-app[cluster]`); nothing of Dask is imported before a
scheduler is asked for.
"""
