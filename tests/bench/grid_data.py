"""gmm: 512-d unit vectors, clusters with low-rank spread, PCA-48 and 2-D PCA points beside them."""
import numpy as np, sys
def gmm(n, seed=7, k=None, d=512):
    r = np.random.default_rng(seed); k = k or 40
    c = r.normal(size=(k, d)) ; top = r.normal(size=(8, d)); 
    sup = r.integers(8, size=k); c = .7*c + .7*top[sup]
    basis = r.normal(size=(k, 12, d))
    lab = r.choice(k, n, p=r.dirichlet(np.full(k, 2.)))
    x = c[lab] + .35*np.einsum('nk,nkd->nd', r.normal(size=(n,12)), basis[lab])*.6 + .15*r.normal(size=(n,d))
    return (x/np.linalg.norm(x,axis=1,keepdims=True)).astype(np.float32)
def pca(x, q):
    m = x - x.mean(0); w, v = np.linalg.eigh((m.T@m).astype(np.float64)); v = v[:, ::-1]
    return (m@v[:, :q]).astype(np.float32), w[::-1][:q].sum()/w.sum()
def save(name, x):
    z, share = pca(x, min(48, x.shape[1])); print(name, x.shape, 'variance kept', round(float(share),3))
    np.save(name+'.npy', x); np.save(name+'.z.npy', z); np.save(name+'.p.npy', np.ascontiguousarray(z[:, :2]))
for n in (1024, 4096, 10500, 16384): save(f'gmm{n}', gmm(n))
save('gmm1500', gmm(1500, 9))
for n in (1024, 4096, 1500, 16384): save(f'rgb{n}', np.random.default_rng(3).random((n,3)).astype(np.float32))
