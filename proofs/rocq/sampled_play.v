(** * Sampled play: unbiased means and the covariance recursion

    Label T8.

    _What is here._  In each round every agent [j] draws [b + 1] samples from its
    current model, and agent [i] answers with
    [a_ii m_i + sum_(j != i) a_ij (sample mean of phi over the batch of j)], the
    best response of T1 to what it has seen.  Two protocols: one batch is
    _broadcast_ to all, or every consumer gets its own, _separate_ batch.

    The sample space [S] is finite, so the draws of a round form a finite type
    [X] and the first [t] rounds a finite type of histories (newest round
    first).  A history has the weight [weight], the product of the conditional
    probabilities [kernel past x]; [expect t] is the weighted sum over all
    histories of length [t].  Nothing is hidden in a notion of conditional
    expectation.  The model of [j] after a history is any law on [S] under which
    the mean of [phi] is the state of [j] (so models on the boundary of the mean
    space are allowed); given the past, all samples are independent.

    _What it proves._  [Sigma t k l] is the matrix, over the agents [i] and [j],
    of the covariance of coordinate [k] of [i] and coordinate [l] of [j] after
    [t] rounds; [B = others a]; [V_j] is the covariance of the two coordinates of
    [phi] under the model of [j]; [E] averages over the histories of length [t].
    - [broadcast_unbiased], [separate_unbiased]: the expected state follows the
      deterministic best-response map of T4 exactly.
    - [broadcast_covariance]: [Sigma (t+1) = B (Sigma t + Lambda t) B^T] with
      [Lambda t = diag_j (E V_j / (b+1))];
    - [separate_covariance]:
      [Sigma (t+1) = B Sigma t B^T + diag_i (sum_j B_ij^2 E V_j / (b+1))].
      Both are exact, also when [V_j] varies with the state.
    - [broadcast_settles], [separate_settles]: if [V_j] is the same after every
      history and [B v <= q v] with [v > 0], the distance to a stationary
      covariance falls by the factor [q^2] per round ([lyapunov_gap]); for
      [q < 1] there is at most one stationary covariance ([lyapunov_unique]).

    _What may be imported._  [averaging], [mixture] and the algebra of MathComp.
    No axioms; any ordered field. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From ExpfamGame Require Import averaging mixture.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

Definition law (R : realFieldType) (Y : finType) (p : Y -> R) :=
  (forall y, 0 <= p y) /\ \sum_y p y = 1.

(** ** Expectations over finite histories *)

Section Expectation.
Variables (R : realFieldType) (X : finType) (kernel : seq X -> X -> R).
Implicit Types (f g : seq X -> R) (past : seq X).

Fixpoint weight past : R :=
  if past is x :: past' then weight past' * kernel past' x else 1.

Definition expect t f := \sum_(past : t.-tuple X) weight past * f past.

Lemma expect0 f : expect 0 f = f [::].
Proof.
rewrite /expect (bigD1 [tuple]) //= big1 ?addr0 ?mul1r // => past /eqP[].
exact: tuple0.
Qed.

Lemma expectS t f :
  expect t.+1 f = expect t (fun past => \sum_x kernel past x * f (x :: past)).
Proof.
pose glue (q : X * t.-tuple X) : t.+1.-tuple X := [tuple of q.1 :: q.2].
have glue_bij : bijective glue.
  exists (fun w : t.+1.-tuple X => (thead w, [tuple of behead w])) => [[x w]|w].
    by congr pair; apply: val_inj.
  by rewrite /glue -tuple_eta.
rewrite /expect (reindex glue) /=; last exact: onW_bij.
rewrite -(pair_bigA _ (fun x (past : t.-tuple X) => weight past * kernel past x * f (x :: past))).
rewrite exchange_big; apply: eq_bigr => past _; rewrite mulr_sumr.
by apply: eq_bigr => x _; rewrite mulrA.
Qed.

Lemma eq_expect t f g : f =1 g -> expect t f = expect t g.
Proof. by move=> fg; apply: eq_bigr => past _; rewrite fg. Qed.

Lemma expectD t f g : expect t (fun past => f past + g past) = expect t f + expect t g.
Proof. by rewrite -big_split; apply: eq_bigr => past _; rewrite mulrDr. Qed.

Lemma expectZ t (c : R) f : expect t (fun past => c * f past) = c * expect t f.
Proof. by rewrite mulr_sumr; apply: eq_bigr => past _; rewrite mulrCA. Qed.

Lemma expect_sum t (I : finType) (f : I -> seq X -> R) :
  expect t (fun past => \sum_i f i past) = \sum_i expect t (f i).
Proof. by rewrite exchange_big; apply: eq_bigr => past _; rewrite mulr_sumr. Qed.

Hypothesis kernel_law : forall past, law (kernel past).

Lemma expect_const t (c : R) : expect t (fun _ => c) = c.
Proof.
elim: t => [|t IH]; first by rewrite expect0.
rewrite expectS -[RHS]IH; apply: eq_expect => past.
by rewrite -mulr_suml; have [_ ->] := kernel_law past; rewrite mul1r.
Qed.

(** The weights of the histories of length [t] are a law. *)
Lemma weight_law t : law (fun past : t.-tuple X => weight past).
Proof.
split=> [past|].
  elim: (tval past) => [|x w IH] /=; first exact: ler01.
  by rewrite mulr_ge0 //; case: (kernel_law w).
by rewrite -[RHS](expect_const t); apply: eq_bigr => past _; rewrite mulr1.
Qed.

End Expectation.

(** ** Linear recursions with noise that is centred given the past *)

Section LinearRecursion.
Variables (R : realFieldType) (X : finType) (kernel : seq X -> X -> R).
Hypothesis kernel_law : forall past, law (kernel past).
Variables (n d : nat) (c mu0 : 'M[R]_(n, d)) (B : 'M[R]_n).
Variables state : seq X -> 'M[R]_(n, d).
Variables noise : seq X -> X -> 'M[R]_(n, d).

Hypothesis state0 : state [::] = mu0.
Hypothesis stateS : forall past x, state (x :: past) = c + B *m state past + noise past x.
Hypothesis noise_centred :
  forall past i k, \sum_x kernel past x * noise past x i k = 0.

Let E := expect kernel.

Definition mean_state t : 'M[R]_(n, d) := \matrix_(i, k) E t (fun past => state past i k).

Definition deviation t past i k := state past i k - mean_state t i k.

Definition covariance t k l : 'M[R]_n :=
  \matrix_(i, j) E t (fun past => deviation t past i k * deviation t past j l).

Definition noise_covariance past k l i j :=
  \sum_x kernel past x * (noise past x i k * noise past x j l).

Lemma mean_stateE t i k : mean_state t i k = E t (fun past => state past i k).
Proof. by rewrite mxE. Qed.

Lemma covarianceE t k l i j :
  covariance t k l i j = E t (fun past => deviation t past i k * deviation t past j l).
Proof. by rewrite mxE. Qed.

Lemma stateSE past x i k :
  state (x :: past) i k = c i k + \sum_j B i j * state past j k + noise past x i k.
Proof. by rewrite stateS mxE [X in X + _]mxE [X in _ + X + _]mxE. Qed.

Lemma mean_stateSE t i k :
  mean_state t.+1 i k = c i k + \sum_j B i j * mean_state t j k.
Proof.
rewrite mean_stateE /E expectS -/E.
have -> : \sum_j B i j * mean_state t j k =
    E t (fun past => \sum_j B i j * state past j k).
  rewrite /E expect_sum; apply: eq_bigr => j _.
  by rewrite expectZ mean_stateE.
rewrite -{1}(expect_const kernel_law t (c i k)) -expectD.
apply: eq_expect => past; have [_ one] := kernel_law past.
under eq_bigr do rewrite stateSE mulrDr.
by rewrite big_split /= noise_centred addr0 -mulr_suml one mul1r.
Qed.

Theorem mean_state_step t : mean_state t.+1 = c + B *m mean_state t.
Proof.
apply/matrixP=> i k; rewrite mean_stateSE [RHS]mxE; congr (_ + _).
by rewrite [RHS]mxE.
Qed.

Corollary mean_state_iter t : mean_state t = iter t (fun mu => c + B *m mu) mu0.
Proof.
elim: t => [|t IH]; last by rewrite mean_state_step IH.
by apply/matrixP=> i k; rewrite mean_stateE /E expect0 state0.
Qed.

Lemma deviationS t past x i k :
  deviation t.+1 (x :: past) i k = \sum_j B i j * deviation t past j k + noise past x i k.
Proof.
rewrite /deviation stateSE mean_stateSE addrAC; congr (_ + _).
rewrite opprD addrACA subrr add0r -sumrB.
by apply: eq_bigr => j _; rewrite mulrBr.
Qed.

(** A sum of a known and a centred random part, given the past. *)
Lemma conditional_product past (u w : R) i k j l :
  \sum_x kernel past x * ((u + noise past x i k) * (w + noise past x j l)) =
  u * w + noise_covariance past k l i j.
Proof.
have [_ one] := kernel_law past.
transitivity (\sum_x (kernel past x * (u * w) + w * (kernel past x * noise past x i k) +
    u * (kernel past x * noise past x j l) +
    kernel past x * (noise past x i k * noise past x j l))).
  apply: eq_bigr => x _; rewrite mulrDl !mulrDr.
  rewrite [_ * (noise _ _ _ _ * w)]mulrA [_ * (u * noise _ _ _ _)]mulrCA.
  by rewrite [_ * noise _ _ _ _ * w]mulrC -!addrA; congr (_ + _); rewrite addrCA.
by rewrite !big_split /= -mulr_suml one -!mulr_sumr !noise_centred !mulr0 !addr0 mul1r.
Qed.

Lemma covariance0 k l : covariance 0 k l = 0.
Proof.
apply/matrixP=> i j; rewrite covarianceE [RHS]mxE /E expect0.
by rewrite /deviation mean_stateE /E expect0 subrr mul0r.
Qed.

Theorem covariance_step t k l :
  covariance t.+1 k l = B *m covariance t k l *m B^T +
    \matrix_(i, j) E t (fun past => noise_covariance past k l i j).
Proof.
apply/matrixP=> i j; rewrite covarianceE [RHS]mxE [X in _ + X]mxE /E expectS -/E.
have -> : (B *m covariance t k l *m B^T) i j =
    E t (fun past => (\sum_p B i p * deviation t past p k) *
                     (\sum_r B j r * deviation t past r l)).
  rewrite mxE; transitivity (E t (fun past => \sum_r \sum_p
      (B i p * B j r) * (deviation t past p k * deviation t past r l))); last first.
    apply: eq_expect => past; rewrite mulr_sumr; apply: eq_bigr => r _.
    by rewrite mulr_suml; apply: eq_bigr => p _; rewrite mulrACA.
  rewrite /E expect_sum; apply: eq_bigr => r _; rewrite expect_sum !mxE mulr_suml.
  by apply: eq_bigr => p _; rewrite expectZ covarianceE mulrAC.
rewrite -expectD; apply: eq_expect => past.
by under eq_bigr do rewrite !deviationS; rewrite conditional_product.
Qed.

End LinearRecursion.

(** ** Independent draws *)

Section Draws.
Variables (R : realFieldType) (J S : finType) (p : J -> S -> R).
Hypothesis p_law : forall a, law (p a).

(** The law of independent draws, one from each [p a]. *)
Definition draws (x : {ffun J -> S}) := \prod_a p a (x a).

Lemma draws_prod (f : J -> S -> R) :
  \sum_x draws x * \prod_a f a (x a) = \prod_a \sum_s p a s * f a s.
Proof. by rewrite bigA_distr_bigA; apply: eq_bigr => x _; rewrite -big_split. Qed.

Lemma draws_law : law draws.
Proof.
split=> [x|]; first by apply: prodr_ge0 => a _; case: (p_law a).
have := draws_prod (fun _ _ => 1); under eq_bigr do rewrite big1_eq mulr1.
by move=> ->; apply: big1 => a _; under eq_bigr do rewrite mulr1; case: (p_law a).
Qed.

Lemma draws_single a (f : S -> R) : \sum_x draws x * f (x a) = \sum_s p a s * f s.
Proof.
have := draws_prod (fun a' s => if a' == a then f s else 1).
under eq_bigr do rewrite -big_mkcond big_pred1_eq; move=> ->.
rewrite (bigD1 a) //= eqxx [X in _ * X]big1 ?mulr1 // => a' /negbTE->.
by under eq_bigr do rewrite mulr1; case: (p_law a').
Qed.

Lemma draws_pair a a' (f g : S -> R) : a != a' ->
  \sum_x draws x * (f (x a) * g (x a')) =
  (\sum_s p a s * f s) * (\sum_s p a' s * g s).
Proof.
move=> aa'; have a'a : a' != a by rewrite eq_sym.
pose h b s := if b == a then f s else if b == a' then g s else 1.
have hE x : \prod_b h b (x b) = f (x a) * g (x a').
  rewrite (bigD1 a) //= (bigD1 a') //= /h !eqxx (negbTE a'a) big1 ?mulr1 // => b.
  by case/andP=> /negbTE-> /negbTE->.
have := draws_prod h; under eq_bigr do rewrite hE; move=> ->.
rewrite (bigD1 a) //= (bigD1 a') //= /h !eqxx (negbTE a'a) [X in _ * (_ * X)]big1 ?mulr1 // => b.
case/andP=> /negbTE-> /negbTE->.
by under eq_bigr do rewrite mulr1; case: (p_law b).
Qed.

(** Weighted sums of centred draws: only the diagonal survives. *)
Variables (G H : J -> R) (f g : J -> S -> R).
Hypothesis f_centred : forall a, \sum_s p a s * f a s = 0.

Lemma draws_centred : \sum_x draws x * (\sum_a G a * f a (x a)) = 0.
Proof.
under eq_bigr do rewrite mulr_sumr; rewrite exchange_big big1 // => a _ /=.
under eq_bigr do rewrite mulrCA.
by rewrite -mulr_sumr (draws_single a (f a)) f_centred mulr0.
Qed.

Lemma draws_covariance :
  \sum_x draws x * ((\sum_a G a * f a (x a)) * (\sum_a H a * g a (x a))) =
  \sum_a G a * H a * (\sum_s p a s * (f a s * g a s)).
Proof.
transitivity (\sum_x \sum_a \sum_a' G a * H a' * (draws x * (f a (x a) * g a' (x a')))).
  apply: eq_bigr => x _; rewrite mulr_suml mulr_sumr; apply: eq_bigr => a _.
  rewrite !mulr_sumr; apply: eq_bigr => a' _.
  by rewrite mulrACA [LHS]mulrCA.
rewrite exchange_big; apply: eq_bigr => a _; rewrite exchange_big (bigD1 a) //=.
rewrite -mulr_sumr (draws_single a (fun s => f a s * g a s)) [X in _ + X]big1 ?addr0 // => a' aa'.
by rewrite -mulr_sumr draws_pair 1?eq_sym // f_centred mul0r mulr0.
Qed.

End Draws.

(** ** The stationary covariance *)

Section Lyapunov.
Variables (R : realFieldType) (n : nat) (B Q : 'M[R]_n) (v : 'I_n -> R) (q : R).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Hypothesis v_gt0 : forall i, 0 < v i.
Hypothesis Bv : forall i, \sum_j B i j * v j <= q * v i.
Hypothesis q_ge0 : 0 <= q.

Definition stationary (S : 'M[R]_n) := S = B *m S *m B^T + Q.

(** Conjugation by [B] shrinks [max_ij |M_ij| / (v_i v_j)] by the factor [q^2]. *)
Lemma conjugate_bound (M : 'M[R]_n) (C : R) : 0 <= C ->
  (forall i j, `|M i j| <= C * (v i * v j)) ->
  forall i j, `|(B *m M *m B^T) i j| <= q ^+ 2 * C * (v i * v j).
Proof.
move=> C_ge0 MC i j; have Bv_ge0 k : 0 <= \sum_l B k l * v l.
  by apply: sumr_ge0 => l _; rewrite mulr_ge0 // ltW.
have -> : (B *m M *m B^T) i j = \sum_k \sum_l B i l * B j k * M l k.
  rewrite mxE; apply: eq_bigr => k _; rewrite !mxE mulr_suml.
  by apply: eq_bigr => l _; rewrite mulrAC.
apply: (@le_trans _ _ (C * ((\sum_l B i l * v l) * (\sum_k B j k * v k)))); last first.
  have -> : q ^+ 2 * C * (v i * v j) = C * ((q * v i) * (q * v j)) by ring.
  by rewrite ler_wpmul2l // ler_pmul.
apply: le_trans (ler_norm_sum _ _ _) _; rewrite mulr_sumr mulr_sumr.
apply: ler_sum => k _; apply: le_trans (ler_norm_sum _ _ _) _.
rewrite mulr_suml mulr_sumr; apply: ler_sum => l _.
have -> : C * (B i l * v l * (B j k * v k)) = B i l * B j k * (C * (v l * v k)) by ring.
by rewrite normrM ger0_norm ?mulr_ge0 // ler_wpmul2l ?mulr_ge0.
Qed.

Theorem lyapunov_gap (S : nat -> 'M[R]_n) (T : 'M[R]_n) (C : R) :
  (forall t, S t.+1 = B *m S t *m B^T + Q) -> stationary T -> 0 <= C ->
  (forall i j, `|(S 0%N - T) i j| <= C * (v i * v j)) ->
  forall t i j, `|(S t - T) i j| <= (q ^+ 2) ^+ t * C * (v i * v j).
Proof.
move=> step statT C_ge0 start; elim=> [|t IH]; first by move=> i j; rewrite mul1r.
have -> : S t.+1 - T = B *m (S t - T) *m B^T.
  by rewrite step {1}statT mulmxBr mulmxBl opprD addrACA subrr addr0.
rewrite exprS -mulrA; apply: conjugate_bound => //.
by rewrite mulr_ge0 // !exprn_ge0.
Qed.

Theorem lyapunov_unique (S T : 'M[R]_n) : q < 1 -> stationary S -> stationary T -> S = T.
Proof.
move=> q1 statS statT.
pose size_of (ij : 'I_n * 'I_n) := `|(S - T) ij.1 ij.2| / (v ij.1 * v ij.2).
pose C := largest size_of; have C_ge0 : 0 <= C by exact: largest_ge0.
have vv_gt0 i j : 0 < v i * v j by rewrite mulr_gt0.
have startC i j : `|(S - T) i j| <= C * (v i * v j).
  by rewrite -ler_pdivr_mulr //; exact: (le_largest size_of (i, j)).
have fixed : S - T = B *m (S - T) *m B^T.
  by rewrite {1}statS {1}statT mulmxBr mulmxBl opprD addrACA subrr addr0.
have : C <= q ^+ 2 * C.
  apply: largest_le => [|[i j]]; first by rewrite mulr_ge0 ?exprn_ge0.
  by rewrite /size_of /= ler_pdivr_mulr // {1}fixed conjugate_bound.
rewrite -subr_le0 -{1}[C]mul1r -mulrBl pmulr_rle0 ?subr_gt0 ?exprn_ilt1 // => C_le0.
apply/eqP; rewrite -subr_eq0; apply/eqP/matrixP=> i j; rewrite [RHS]mxE.
apply/eqP; rewrite -normr_le0; apply: le_trans (startC i j) _.
by rewrite pmulr_lle0.
Qed.

End Lyapunov.

Lemma conjugate_diag (R : realFieldType) (n : nat) (M : 'M[R]_n) (D : 'rV[R]_n) i j :
  (M *m diag_mx D *m M^T) i j = \sum_p M i p * M j p * D 0 p.
Proof. by rewrite mul_mx_diag mxE; apply: eq_bigr => p _; rewrite !mxE mulrAC. Qed.

(** ** The two protocols *)

Lemma sum_pair (R : realFieldType) (I K : finType) (F : I * K -> R) :
  \sum_p F p = \sum_i \sum_k F (i, k).
Proof. by rewrite (pair_bigA _ (fun i k => F (i, k))); apply: eq_bigr => -[]. Qed.

Section Play.
Variables (R : realFieldType) (S : finType) (n d b : nat).
Variables (phi : S -> 'rV[R]_d) (a : 'M[R]_n) (m mu0 : 'M[R]_(n, d)).

(** The batch size is [b.+1]; [m] holds the private means, [mu0] the start. *)
Let size_batch : R := b.+1%:R.

Definition sample_mean (x : 'I_b.+1 -> S) k := (\sum_r phi (x r) 0 k) / size_batch.

(** Covariance of the coordinates [k] and [l] of [phi] under a law with mean [u]. *)
Definition statistic_covariance (p : S -> R) (u : 'rV[R]_d) k l :=
  \sum_s p s * ((phi s 0 k - u 0 k) * (phi s 0 l - u 0 l)).

(** The map [F] of T4, for all coordinates of the statistic at once. *)
Definition best_response_map (mu : 'M[R]_(n, d)) := own a *m m + others a *m mu.

Lemma best_response_mapE mu i k :
  best_response_map mu i k = a i i * m i k + \sum_(j | j != i) a i j * mu j k.
Proof.
rewrite mxE mul_diag_mx [X in X + _]mxE [X in X * _]mxE; congr (_ + _).
by rewrite mxE (others_sum a i (fun j => mu j k)).
Qed.

Let B := others a.
Let w := size_batch^-1.

(** The weights contract in the norm of [v], by the factor [q]. *)
Definition contracts (v : 'I_n -> R) (q : R) :=
  [/\ forall i j, 0 <= a i j, forall i, 0 < v i, 0 <= q &
      forall i, \sum_j others a i j * v j <= q * v i].

Let others_ge0 : (forall i j, 0 <= a i j) -> forall i j, 0 <= others a i j.
Proof. by move=> a_ge0 i j; rewrite mxE; case: eqP. Qed.

Let size_neq0 : size_batch != 0. Proof. by rewrite pnatr_eq0. Qed.

Lemma sample_mean_centred (x : 'I_b.+1 -> S) k (u : R) :
  sample_mean x k - u = \sum_r w * (phi (x r) 0 k - u).
Proof.
rewrite -mulr_sumr sumrB sumr_const card_ord mulrBr mulrC; congr (_ - _).
by rewrite -(mulr_natl u) mulKf.
Qed.

Lemma batch_weights (u u' V : R) :
  \sum_(r < b.+1) (u * w) * (u' * w) * V = u * u' * (V / size_batch).
Proof.
rewrite sumr_const card_ord -mulr_natl -/size_batch /w.
by move: size_batch size_neq0 => z z_neq0; field.
Qed.

Lemma statistic_centred (p : S -> R) (u : R) k :
  law p -> \sum_s p s * phi s 0 k = u -> \sum_s p s * (phi s 0 k - u) = 0.
Proof.
move=> [_ one] mean_p; under eq_bigr do rewrite mulrBr.
by rewrite sumrB mean_p -mulr_suml one mul1r subrr.
Qed.

(** *** One batch for all *)

Section Broadcast.

(** The draws of a round: [x (j, r)] is the [r]-th sample of agent [j]. *)
Let J : finType := [finType of 'I_n * 'I_b.+1].
Let X : finType := [finType of {ffun J -> S}].

Definition broadcast_batch (x : X) : 'M[R]_(n, d) :=
  \matrix_(j, k) sample_mean (fun r => x (j, r)) k.

Fixpoint broadcast_play (past : seq X) : 'M[R]_(n, d) :=
  if past is x :: _ then own a *m m + others a *m broadcast_batch x else mu0.

(** After any history, agent [j] plays a model whose mean is its state. *)
Variable model : seq X -> 'I_n -> S -> R.
Hypothesis model_law : forall past j, law (model past j).
Hypothesis model_mean : forall past j k,
  \sum_s model past j s * phi s 0 k = broadcast_play past j k.

Definition broadcast_kernel past : X -> R := draws (fun jr : J => model past jr.1).

Let E := expect broadcast_kernel.
Let mean_play := mean_state broadcast_kernel broadcast_play.
Let Sigma := covariance broadcast_kernel broadcast_play.

Definition broadcast_floor t k l : 'rV[R]_n := \row_j
  (E t (fun past => statistic_covariance (model past j) (row j (broadcast_play past)) k l)
   / size_batch).

Let noise past x := others a *m (broadcast_batch x - broadcast_play past).

Let kernel_law past : law (broadcast_kernel past).
Proof. by apply: draws_law => jr. Qed.

Let step past x : broadcast_play (x :: past) =
  own a *m m + others a *m broadcast_play past + noise past x.
Proof. by rewrite /noise mulmxBr addrA [RHS]addrAC addrK. Qed.

Let G i (jr : J) := B i jr.1 * w.
Let f past k (jr : J) s := phi s 0 k - broadcast_play past jr.1 k.

Let noiseE past x i k : noise past x i k = \sum_jr G i jr * f past k jr (x jr).
Proof.
rewrite mxE sum_pair.
apply: eq_bigr => j _; rewrite [X in _ * X]mxE [X in _ * (X + _)]mxE [X in _ * (_ + X)]mxE.
rewrite sample_mean_centred mulr_sumr.
by apply: eq_bigr => r _; rewrite mulrA.
Qed.

Let f_centred past k jr : \sum_s model past jr.1 s * f past k jr s = 0.
Proof. exact: statistic_centred. Qed.

Let noise_centred past i k : \sum_x broadcast_kernel past x * noise past x i k = 0.
Proof.
under eq_bigr do rewrite noiseE.
by apply: (draws_centred (fun jr : J => model_law past jr.1)) => jr; apply: f_centred.
Qed.

Theorem broadcast_unbiased t : mean_play t = iter t best_response_map mu0.
Proof. exact: (mean_state_iter kernel_law (erefl _) step noise_centred). Qed.

Lemma broadcast_noise past k l i j :
  noise_covariance broadcast_kernel noise past k l i j = \sum_p B i p * B j p *
    (statistic_covariance (model past p) (row p (broadcast_play past)) k l / size_batch).
Proof.
rewrite /noise_covariance; under eq_bigr do rewrite !noiseE.
rewrite (draws_covariance (fun jr : J => model_law past jr.1)) => [|jr]; last exact: f_centred.
rewrite sum_pair; apply: eq_bigr => p _; rewrite -batch_weights; apply: eq_bigr => r _.
by congr (_ * _); apply: eq_bigr => s _; rewrite 2![row _ _ _ _]mxE.
Qed.

(** [B (Sigma + Lambda) B^T] with [Lambda = diag (E V_j / size)]. *)
Theorem broadcast_covariance t k l : Sigma t.+1 k l =
  others a *m (Sigma t k l + diag_mx (broadcast_floor t k l)) *m (others a)^T.
Proof.
rewrite /Sigma (covariance_step kernel_law step noise_centred) mulmxDr mulmxDl.
congr (_ + _); apply/matrixP=> i j; rewrite mxE -/B.
transitivity (\sum_p B i p * B j p * broadcast_floor t k l 0 p).
  rewrite /E; under eq_expect do rewrite broadcast_noise.
  rewrite expect_sum; apply: eq_bigr => p _; rewrite expectZ; congr (_ * _).
  by rewrite [RHS]mxE -[RHS]mulrC -expectZ; apply: eq_expect => past; rewrite mulrC.
by rewrite conjugate_diag.
Qed.

(** If the covariance [V_j] of [phi] does not depend on the state, the
    covariance approaches the stationary one, which is the noise floor. *)
Corollary broadcast_settles k l (V : 'I_n -> R) (T : 'M[R]_n) v q C :
  (forall past j,
     statistic_covariance (model past j) (row j (broadcast_play past)) k l = V j) ->
  contracts v q ->
  T = others a *m (T + diag_mx (\row_j (V j / size_batch))) *m (others a)^T ->
  0 <= C -> (forall i j, `|T i j| <= C * (v i * v j)) ->
  forall t i j, `|(Sigma t k l - T) i j| <= (q ^+ 2) ^+ t * C * (v i * v j).
Proof.
move=> constV [a_ge0 v_gt0 q_ge0 Bv] statT C_ge0 boundT.
pose Q := others a *m diag_mx (\row_j (V j / size_batch)) *m (others a)^T.
apply: (@lyapunov_gap _ _ _ Q _ _ (others_ge0 a_ge0) v_gt0 Bv q_ge0 _ _ _ _ _ C_ge0).
- move=> t; rewrite broadcast_covariance mulmxDr mulmxDl; congr (_ + _ *m diag_mx _ *m _).
  apply/rowP=> j; rewrite [LHS]mxE [RHS]mxE; congr (_ * _).
  by rewrite /E; under eq_expect do rewrite constV; exact: expect_const.
- by rewrite /stationary {1}statT mulmxDr mulmxDl.
- by move=> i j; rewrite /Sigma covariance0 sub0r mxE normrN.
Qed.

End Broadcast.
(** *** A fresh batch for every consumer *)

Section Separate.

(** The draws of a round: [x (i, (j, r))] is the [r]-th sample that agent [j]
    draws for agent [i]. *)
Let J : finType := [finType of 'I_n * ('I_n * 'I_b.+1)].
Let X : finType := [finType of {ffun J -> S}].

Definition separate_answer (x : X) : 'M[R]_(n, d) :=
  \matrix_(i, k) \sum_j others a i j * sample_mean (fun r => x (i, (j, r))) k.

Fixpoint separate_play (past : seq X) : 'M[R]_(n, d) :=
  if past is x :: _ then own a *m m + separate_answer x else mu0.

Variable model : seq X -> 'I_n -> S -> R.
Hypothesis model_law : forall past j, law (model past j).
Hypothesis model_mean : forall past j k,
  \sum_s model past j s * phi s 0 k = separate_play past j k.

Definition separate_kernel past : X -> R := draws (fun ijr : J => model past ijr.2.1).

Let E := expect separate_kernel.
Let mean_play := mean_state separate_kernel separate_play.
Let Sigma := covariance separate_kernel separate_play.

Definition separate_floor t k l : 'rV[R]_n := \row_i \sum_j others a i j ^+ 2 *
  (E t (fun past => statistic_covariance (model past j) (row j (separate_play past)) k l)
   / size_batch).

Let noise past x := separate_answer x - others a *m separate_play past.

Let kernel_law past : law (separate_kernel past).
Proof. by apply: draws_law => ijr. Qed.

Let step past x : separate_play (x :: past) =
  own a *m m + others a *m separate_play past + noise past x.
Proof. by rewrite /noise -addrA [X in _ + X]addrC subrK. Qed.

Let G i (ijr : J) := if ijr.1 == i then B i ijr.2.1 * w else 0.
Let f past k (ijr : J) s := phi s 0 k - separate_play past ijr.2.1 k.

Let sum_own i (F : J -> R) : (forall i' jr, i' != i -> F (i', jr) = 0) ->
  \sum_ijr F ijr = \sum_j \sum_r F (i, (j, r)).
Proof.
move=> F0; rewrite sum_pair (bigD1 i) //= [X in _ + X]big1 ?addr0 ?sum_pair // => i' i'i.
by apply: big1 => jr _; apply: F0.
Qed.

Let noiseE past x i k : noise past x i k = \sum_ijr G i ijr * f past k ijr (x ijr).
Proof.
rewrite (sum_own (i := i)) => [|i' jr /negbTE i'i]; last by rewrite /G i'i mul0r.
rewrite [LHS]mxE [X in X + _]mxE [X in _ + X]mxE [X in _ - X]mxE -sumrB.
apply: eq_bigr => j _; rewrite -mulrBr sample_mean_centred mulr_sumr.
by apply: eq_bigr => r _; rewrite /G eqxx mulrA.
Qed.

Let f_centred past k ijr : \sum_s model past ijr.2.1 s * f past k ijr s = 0.
Proof. exact: statistic_centred. Qed.

Let noise_centred past i k : \sum_x separate_kernel past x * noise past x i k = 0.
Proof.
under eq_bigr do rewrite noiseE.
by apply: (draws_centred (fun ijr : J => model_law past ijr.2.1)) => ijr; apply: f_centred.
Qed.

Theorem separate_unbiased t : mean_play t = iter t best_response_map mu0.
Proof. exact: (mean_state_iter kernel_law (erefl _) step noise_centred). Qed.

Lemma separate_noise past k l i j :
  noise_covariance separate_kernel noise past k l i j =
  if j == i then \sum_p B i p ^+ 2 *
    (statistic_covariance (model past p) (row p (separate_play past)) k l / size_batch)
  else 0.
Proof.
rewrite /noise_covariance; under eq_bigr do rewrite !noiseE.
rewrite (draws_covariance (fun ijr : J => model_law past ijr.2.1)) => [|ijr]; last exact: f_centred.
rewrite (sum_own (i := i)) => [|i' jr /negbTE i'i]; last by rewrite /G i'i !mul0r.
have [->|/negbTE ji] := eqVneq j i; last first.
  by apply: big1 => p _; apply: big1 => r _; rewrite /G /= eq_sym ji mulr0 mul0r.
apply: eq_bigr => p _; rewrite expr2 -batch_weights; apply: eq_bigr => r _.
by rewrite /G /= eqxx; congr (_ * _); apply: eq_bigr => s _; rewrite 2![row _ _ _ _]mxE.
Qed.

(** [B Sigma B^T + diag_i (sum_j B_ij^2 E V_j / size)]. *)
Theorem separate_covariance t k l : Sigma t.+1 k l =
  others a *m Sigma t k l *m (others a)^T + diag_mx (separate_floor t k l).
Proof.
rewrite /Sigma (covariance_step kernel_law step noise_centred).
congr (_ + _); apply/matrixP=> i j; rewrite mxE [RHS]mxE.
rewrite /E; under eq_expect do rewrite separate_noise.
have [_|_] := eqVneq j i; last by rewrite mulr0n expect_const.
rewrite mulr1n [RHS]mxE expect_sum; apply: eq_bigr => p _.
rewrite expectZ; congr (_ * _); rewrite [RHS]mulrC -expectZ.
by apply: eq_expect => past; rewrite mulrC.
Qed.

Corollary separate_settles k l (V : 'I_n -> R) (T : 'M[R]_n) v q C :
  (forall past j,
     statistic_covariance (model past j) (row j (separate_play past)) k l = V j) ->
  contracts v q ->
  T = others a *m T *m (others a)^T +
      diag_mx (\row_i \sum_j others a i j ^+ 2 * (V j / size_batch)) ->
  0 <= C -> (forall i j, `|T i j| <= C * (v i * v j)) ->
  forall t i j, `|(Sigma t k l - T) i j| <= (q ^+ 2) ^+ t * C * (v i * v j).
Proof.
move=> constV [a_ge0 v_gt0 q_ge0 Bv] statT C_ge0 boundT.
apply: (lyapunov_gap (others_ge0 a_ge0) v_gt0 Bv q_ge0 _ statT C_ge0).
- move=> t; rewrite separate_covariance; congr (_ + diag_mx _).
  apply/rowP=> i; rewrite [LHS]mxE [RHS]mxE; apply: eq_bigr => j _; congr (_ * (_ / _)).
  by rewrite /E; under eq_expect do rewrite constV; exact: expect_const.
- by move=> i j; rewrite /Sigma covariance0 sub0r mxE normrN.
Qed.

End Separate.
End Play.

Print Assumptions weight_law.
Print Assumptions broadcast_unbiased.
Print Assumptions broadcast_covariance.
Print Assumptions separate_unbiased.
Print Assumptions separate_covariance.
Print Assumptions broadcast_settles.
Print Assumptions separate_settles.
Print Assumptions lyapunov_gap.
Print Assumptions lyapunov_unique.
