# SPDX-License-Identifier: MIT
"""Tasks of the generalist, one file each: inputs, targets, attributes, loss and metric."""
