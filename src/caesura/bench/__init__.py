"""Comparison of codecs by rate, distortion, time and memory (extra ``[bench]``)."""
