"""What fine-tuning is for: flood or land cover. Everything that only one of them needs lives here."""
