"""Finding texts: chunking, embedding, FAISS, BM25 and their fusion."""
