"""What came in: how a folder, zip, tar or table of images is understood, named and split."""
