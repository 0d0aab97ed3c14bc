"""Whole networks: which cases there are, running them on all cores or a cluster, keeping what is done."""
