"""Objectives of contrastive learning. Functions of float tensors; queue and logit scale are small modules."""
