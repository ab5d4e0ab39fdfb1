"""Tests of fintune.data.guess."""
