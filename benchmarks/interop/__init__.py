"""Exports in programs nobody here wrote: do they answer as the run was scored?"""
